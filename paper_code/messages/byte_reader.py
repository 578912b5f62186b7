"""Bytes of a frame: variable-length integers, and a reader that trusts nothing that is declared."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from ..coding.bits import FormatError

_CHUNK = 1 << 20


def varint(value: int) -> bytes:
    """An unsigned integer of at most 64 bits, 7 bits a byte, least significant first (LEB128).

    >>> varint(300)
    b'\\xac\\x02'
    """
    if not 0 <= value < 1 << 64:
        raise ValueError(f"integer {value} cannot be sent; allowed are 0 to 2**64 - 1")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class ByteReader:
    """Reads from a stream exactly what is asked for, and keeps the CRC-32 of it.

    ``head`` are bytes that were taken from the stream before.
    """

    def __init__(self, stream: BinaryIO, head: bytes = b"") -> None:
        self._stream = stream
        self.crc = zlib.crc32(head)

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes. Raises FormatError where the stream ends before."""
        data = self._stream.read(count if count < _CHUNK else _CHUNK)
        if len(data) < count:
            data = self._complete(data, count)
        self.crc = zlib.crc32(data, self.crc)
        return data

    def _complete(self, data: bytes, count: int) -> bytes:
        """Chunk by chunk, so that a declared length by itself allocates nothing."""
        parts, missing = [data], count - len(data)
        while missing:
            part = self._stream.read(min(missing, _CHUNK))
            if not part:
                raise FormatError(f"frame ends early: {missing} of {count} bytes are missing")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def varint(self) -> int:
        """Read a varint. Raises FormatError for one beyond 64 bits or not in its shortest form."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64 or (shift and not byte):
                    break
                return value
        raise FormatError("integer is longer than 64 bits or not in its shortest form")
