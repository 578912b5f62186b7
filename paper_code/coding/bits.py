"""A writer and a reader of bits, the first bit in the most significant place of the first byte."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from .words import get, get_words, put, put_mask, put_signs, put_words


class FormatError(ValueError):
    """Bytes that are not a valid frame, or a payload that no encoder writes."""


_WORD = 0xFFFF_FFFF_FFFF_FFFF


def ceil_log2(count: int) -> int:
    """Bits of a code word that names one of ``count`` things: ceil(log2 count).

    >>> [ceil_log2(n) for n in (1, 2, 3, 1024, 1025)]
    [0, 1, 2, 10, 11]
    """
    return (count - 1).bit_length()


def packed(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """A mask as words of 64 bits, the first bit in the most significant place, and one word more.

    >>> f"{packed(np.array([True, False, True]))[0]:064b}"[:4]
    '1010'
    """
    words = np.zeros(mask.size // 64 + 2, np.uint64)
    put_mask(words, 0, mask)
    return words


class BitWriter:
    """Bits in the order written, the first in the most significant place of the first byte.

    >>> writer = BitWriter()
    >>> writer.write_uint(5, 4)
    >>> writer.bits, writer.getvalue()
    (4, b'P')
    """

    def __init__(self, most: int | None = None) -> None:
        """``most`` bits may be written, or any number; a few more are let through below 4096."""
        self.bits = 0
        self._most = most
        self._words = np.zeros(64, np.uint64)
        self._as_bytes = False  # the words are in the order of the bytes that they stand for

    def reserve(self, bits: int) -> NDArray[np.uint64]:
        """The zeroed words, with room for ``bits`` more from position ``self.bits`` on.

        Raises ValueError where that is more than may be written.
        """
        self._turn(as_bytes=False)
        return self._with_room(bits)

    def _turn(self, as_bytes: bool) -> None:
        if as_bytes != self._as_bytes:
            _swap(self._words[: -(-self.bits // 64)])
        self._as_bytes = as_bytes

    def _with_room(self, bits: int) -> NDArray[np.uint64]:
        needed = (self.bits + bits) // 64 + 2
        if needed > self._words.size:
            if self._most is not None and self.bits + bits > self._most:
                raise ValueError(f"the payload exceeds {self._most} bits, which no decoder accepts")
            grown = np.zeros(max(needed, 2 * self._words.size), np.uint64)
            grown[: self._words.size] = self._words
            self._words = grown
        return self._words

    def write_uint(self, value: int, width: int) -> None:
        """Write 0 <= value < 2**width in ``width`` bits. Raises ValueError if it does not fit."""
        if not 0 <= value < 1 << width:
            raise ValueError(f"value {value} does not fit into width {width} bits")
        while width > 64:  # most significant part first
            width -= 64
            self._put(value >> width & _WORD, 64)
        if width:
            self._put(value & _WORD, width)

    def _put(self, value: int, width: int) -> None:
        put(self.reserve(width), self.bits, np.uint64(value), width)
        self.bits += width

    def write_uints(self, values: NDArray[np.unsignedinteger], width: int) -> None:
        """Write every value in ``width`` (1 to 64) bits; higher bits must be zero."""
        bits = width * values.size
        if self.bits % 64 or width not in (16, 32, 64):
            put_words(self.reserve(bits), self.bits, values, width)
        else:  # bytes as they are
            self._turn(as_bytes=True)
            ahead = self._with_room(bits)[self.bits // 64 :]
            ahead.view(f">u{width // 8}")[: values.size] = values
        self.bits += bits

    def append(self, other: BitWriter) -> None:
        """Write all that another writer holds."""
        whole, rest = divmod(other.bits, 64)
        other._turn(as_bytes=False)
        self.write_uints(other._words[:whole], 64)
        self.write_uint(int(other._words[whole]) >> (64 - rest), rest)

    def write_mask(self, levels: NDArray) -> None:
        """Write one bit for each coordinate: is it non-zero?"""
        self.bits = put_mask(self.reserve(levels.size), self.bits, levels)

    def write_signs(self, levels: NDArray) -> None:
        """Write one bit for each non-zero coordinate: 1 where it is negative."""
        self.bits = put_signs(self.reserve(levels.size), self.bits, levels)

    def getvalue(self) -> bytes:
        """The bytes written, the last one filled up with zero bits."""
        self._turn(as_bytes=True)  # in place: a copy would take as much memory as the payload
        return self._words.view(np.uint8)[: -(-self.bits // 8)].tobytes()


def _swap(words: NDArray[np.uint64]) -> None:
    """From the machine's order of bytes to the most significant first, or back; in place."""
    if sys.byteorder == "little":
        words.byteswap(inplace=True)


class BitReader:
    """Reads back what a BitWriter wrote. Raises FormatError past the end."""

    def __init__(self, payload: bytes, bits: int) -> None:
        if len(payload) != -(-bits // 8):  # the kernels that read do not look for the end
            raise FormatError(f"payload has {len(payload)} bytes, not what {bits} bits take")
        self.words = np.zeros(len(payload) // 8 + 2, np.uint64)
        self.words.view(np.uint8)[: len(payload)] = np.frombuffer(payload, np.uint8)
        _swap(self.words)
        self.end = bits
        self.position = 0
        self.labels: list[tuple[str, int]] = []

    def label(self, name: str) -> None:
        """Say what the bits from here on are, up to the next label or the end."""
        self.labels.append((name, self.position))

    @property
    def remaining(self) -> int:
        """Bits not read yet."""
        return self.end - self.position

    def check_end(self) -> None:
        """Raise FormatError unless all was read."""
        if self.remaining:
            raise FormatError(f"{self.remaining} bits are left after the payload was read")

    def take(self, bits: int) -> int:
        """Advance by ``bits``; return the position before. Raises FormatError past the end."""
        if not 0 <= bits <= self.remaining:
            raise FormatError(f"payload ends: {bits} bits wanted, {self.remaining} left")
        self.position += bits
        return self.position - bits

    def read_uint(self, width: int) -> int:
        """Read an unsigned integer of ``width`` bits."""
        start, value = self.take(width), 0
        for offset in range(0, width, 64):
            part = min(64, width - offset)
            value = value << part | int(get(self.words, start + offset, part))
        return value

    def read_uints(
        self, count: int, width: int, dtype: str = "uint64"
    ) -> NDArray[np.unsignedinteger]:
        """Read ``count`` integers of ``width`` (1 to 64) bits each, which ``dtype`` must hold."""
        start = self.take(count * width)
        values = np.empty(count, dtype)
        get_words(self.words, start, width, values)
        return values

    def read_mask(self, count: int) -> NDArray[np.bool_]:
        """Read ``count`` booleans of one bit each."""
        start = self.take(count)
        words = np.empty(-(-count // 64), np.uint64)
        get_words(self.words, start, 64, words)
        return np.unpackbits(words.astype(">u8").view(np.uint8), count=count).view(np.bool_)
