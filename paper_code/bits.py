"""A writer and a reader of bits, the first bit in the most significant place of the first byte."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernels, level_kernels
from .errors import FormatError


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
    words = np.zeros(mask.size // 64 + 2, ">u8")
    words.view(np.uint8)[: -(-mask.size // 8)] = np.packbits(mask)
    return words.astype(np.uint64)


class BitWriter:
    """Bits in the order written, the first in the most significant place of the first byte.

    >>> writer = BitWriter()
    >>> writer.write_uint(5, 4)
    >>> writer.bits, writer.getvalue()
    (4, b'P')
    """

    def __init__(self) -> None:
        self.bits = 0
        self._words = np.zeros(64, np.uint64)

    def reserve(self, bits: int) -> NDArray[np.uint64]:
        """The zeroed words, with room for ``bits`` more from position ``self.bits`` on."""
        needed = (self.bits + bits) // 64 + 2
        if needed > self._words.size:
            grown = np.zeros(max(needed, 2 * self._words.size), np.uint64)
            grown[: self._words.size] = self._words
            self._words = grown
        return self._words

    def write_uint(self, value: int, width: int) -> None:
        """Write 0 <= value < 2**width in ``width`` bits. Raises ValueError if it does not fit."""
        if not 0 <= value < 1 << width:
            raise ValueError(f"value {value} does not fit into width {width} bits")
        words = self.reserve(width)
        for shift in range(width - width % 64, -1, -64):  # most significant part first
            part = min(64, width - shift)
            if part:
                kernels.put(
                    words, self.bits, np.uint64(value >> shift & 0xFFFF_FFFF_FFFF_FFFF), part
                )
                self.bits += part

    def write_uints(self, values: NDArray[np.unsignedinteger], width: int) -> None:
        """Write every value in ``width`` (1 to 64) bits; higher bits must be zero."""
        kernels.put_words(self.reserve(width * values.size), self.bits, values, width)
        self.bits += width * values.size

    def write_mask(self, levels: NDArray) -> None:
        """Write one bit for each coordinate: is it non-zero?"""
        words = packed(levels != 0)
        whole, rest = divmod(levels.size, 64)
        self.write_uints(words[:whole], 64)
        self.write_uint(int(words[whole]) >> (64 - rest), rest)

    def write_signs(self, levels: NDArray) -> None:
        """Write one bit for each non-zero coordinate: 1 where it is negative."""
        self.bits = level_kernels.put_signs(self.reserve(levels.size), self.bits, levels)

    def getvalue(self) -> bytes:
        """The bytes written, the last one filled up with zero bits."""
        count = -(-self.bits // 8)
        return self._words[: -(-self.bits // 64)].astype(">u8").view(np.uint8)[:count].tobytes()


class BitReader:
    """Reads back what a BitWriter wrote. Raises FormatError past the end."""

    def __init__(self, payload: bytes, bits: int) -> None:
        if len(payload) != -(-bits // 8):  # the kernels that read do not look for the end
            raise FormatError(f"payload has {len(payload)} bytes, not what {bits} bits take")
        padded = bytes(payload) + bytes(16 - len(payload) % 8)
        self.words = np.frombuffer(padded, ">u8").astype(np.uint64)
        self.end = bits
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bits not read yet."""
        return self.end - self.position

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
            value = value << part | int(kernels.get(self.words, start + offset, part))
        return value

    def read_uints(
        self, count: int, width: int, dtype: str = "uint64"
    ) -> NDArray[np.unsignedinteger]:
        """Read ``count`` integers of ``width`` (1 to 64) bits each, which ``dtype`` must hold."""
        start = self.take(count * width)
        values = np.empty(count, dtype)
        kernels.get_words(self.words, start, width, values)
        return values

    def read_mask(self, count: int) -> NDArray[np.bool_]:
        """Read ``count`` booleans of one bit each."""
        start = self.take(count)
        words = np.empty(-(-count // 64), np.uint64)
        kernels.get_words(self.words, start, 64, words)
        return np.unpackbits(words.astype(">u8").view(np.uint8), count=count).view(np.bool_)
