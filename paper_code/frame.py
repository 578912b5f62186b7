"""Frame v1: a message as bytes that explain themselves.

magic (2 bytes), version, element type and number of dimensions, dimensions, exponent where it is
not 0, compressor and settings, nonce with algorithm and fingerprint of its stream where randomness
is shared, length of the payload in bits, payload, CRC-32 of all before it. Integers are
little-endian; dimensions and lengths are varints.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import streams
from .errors import FormatError
from .message import Header, Message
from .rounding import DTYPES
from .settings import pack_settings, take, take_compressor, take_varint, varint

MAGIC = b"\xd5g"
VERSION = 1
MAX_DIM = 1 << 26
_HAS_EXPONENT = 0b0100


def write_frame(message: Message) -> bytes:
    """The frame of ``message``: at most 24 bytes more than the payload for a 1-d float32 array of
    d <= 10 000 under Sparse Dithering."""
    header = message.header
    kind = len(header.shape) << 4 | (_HAS_EXPONENT if header.exponent else 0)
    body = b"".join(
        [
            MAGIC,
            bytes([VERSION, kind | DTYPES.index(header.dtype)]),
            *(varint(n) for n in header.shape),
            struct.pack("<h", header.exponent) if header.exponent else b"",
            bytes([message.compressor.wire_id]),
            pack_settings(message.compressor),
            b"" if header.nonce is None else _shared(header.nonce),
            varint(message.bits),
            message.payload,
        ]
    )
    return body + struct.pack("<I", zlib.crc32(body))


class _Checksummed:
    """A stream that keeps the CRC-32 of what was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.crc = 0

    def read(self, count: int) -> bytes:
        part = self._stream.read(count)
        self.crc = zlib.crc32(part, self.crc)
        return part


def read_frame(stream: BinaryIO, max_dim: int = MAX_DIM) -> Message:
    """Read one frame from a stream of bytes, and leave the stream behind it.

    Raises FormatError, saying what is wrong; more than ``max_dim`` coordinates are refused before
    anything is allocated.
    """
    source = _Checksummed(stream)
    if (magic := take(source, 2)) != MAGIC:
        raise FormatError(f"magic is {magic.hex()}, not {MAGIC.hex()}: this is no frame")
    version, kind = take(source, 2)
    if version != VERSION:
        raise FormatError(f"version {version} is unknown; this library reads version {VERSION}")
    if kind & 0b1000:
        raise FormatError(f"reserved flag is set in element type {kind:#x}")
    shape = _take_shape(source, kind >> 4, max_dim)
    exponent = struct.unpack("<h", take(source, 2))[0] if kind & _HAS_EXPONENT else 0
    if kind & _HAS_EXPONENT and not exponent:
        raise FormatError("an exponent of 0 must be left out")
    compressor = take_compressor(source)
    nonce = _take_shared(source) if compressor.shares_randomness else None
    bits = take_varint(source)
    payload = take(source, -(-bits // 8))
    crc = source.crc
    if struct.unpack("<I", take(source, 4))[0] != crc:
        raise FormatError("CRC-32 does not match: the frame is damaged")
    if bits % 8 and payload[-1] & (0xFF >> bits % 8):
        raise FormatError("padding bits after the payload are not zero")
    return Message(compressor, Header(shape, DTYPES[kind & 3], exponent, nonce), payload, bits)


def _shared(nonce: int) -> bytes:
    return struct.pack("<QBI", nonce, streams.ALGORITHM, streams.fingerprint())


def _take_shared(stream: BinaryIO) -> int:
    nonce, algorithm, fingerprint = struct.unpack("<QBI", take(stream, 13))
    if algorithm != streams.ALGORITHM:
        raise FormatError(f"random stream {algorithm} is unknown; known is {streams.ALGORITHM}")
    if fingerprint != streams.fingerprint():
        raise FormatError(
            f"random stream has fingerprint {fingerprint:08x}, here {streams.fingerprint():08x}: "
            "the generator has changed and would decode to another vector"
        )
    return nonce


def _take_shape(stream: BinaryIO, dimensions: int, max_dim: int) -> tuple[int, ...]:
    shape = tuple(take_varint(stream) for _ in range(dimensions))
    d = 1
    for n in shape:
        d *= n
    if not 1 <= d <= max_dim:
        raise FormatError(f"shape {shape} has {d} coordinates; allowed are 1 to max_dim={max_dim}")
    return shape


def parse(data: bytes, max_dim: int = MAX_DIM) -> Message:
    """Parse exactly one frame. Raises FormatError, also for bytes that trail it."""
    stream = io.BytesIO(data)
    message = read_frame(stream, max_dim)
    if trailing := len(data) - stream.tell():
        raise FormatError(f"{trailing} bytes trail the frame")
    return message


def decode(data: bytes, max_dim: int = MAX_DIM) -> NDArray[np.floating]:
    """Decode one frame, needing nothing but its bytes.

    Raises FormatError if ``data`` is not exactly one valid frame, or declares more than ``max_dim``
    coordinates (checked before anything is allocated).
    """
    return parse(data, max_dim).decode()


def iterate(stream: BinaryIO, max_dim: int = MAX_DIM) -> Iterator[Message]:
    """The messages of concatenated frames, one by one.

    Raises FormatError at the first bad frame; it says how many before it were whole.
    """
    whole = 0
    while True:
        first = stream.read(1)
        if not first:
            return
        try:
            message = read_frame(_Pushed(first, stream), max_dim)
        except FormatError as error:
            raise FormatError(f"after {whole} whole frames: {error}") from error
        whole += 1
        yield message


class _Pushed:
    """A stream with one byte put back in front."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first = first
        self._stream = stream

    def read(self, count: int) -> bytes:
        if self._first and count:
            first, self._first = self._first, b""
            return first
        return self._stream.read(count)
