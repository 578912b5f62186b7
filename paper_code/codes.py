"""Bit codes: every bit that a message counts is written and read here.

A writer and a reader of bits, and the codes of the paper: unary, Golomb-Rice, the subset code,
the positive float. The entropy coder is constriction's.
"""

from __future__ import annotations

import math

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import kernels
from .errors import FormatError

EXACT_SUBSET_DIM = 10_000
"""Up to this many coordinates a subset costs exactly ceil(log2 C(d, n)) bits."""

_PRECISION = 24  # of constriction's models, in bits


def ceil_log2(count: int) -> int:
    """Bits of a code word that names one of ``count`` things: ceil(log2 count).

    >>> [ceil_log2(n) for n in (1, 2, 3, 1024, 1025)]
    [0, 1, 2, 10, 11]
    """
    return (count - 1).bit_length()


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

    def write_uints(self, values: NDArray[np.uint64], width: int) -> None:
        """Write every value in ``width`` (1 to 64) bits; higher bits must be zero."""
        kernels.put_words(self.reserve(width * values.size), self.bits, values, width)
        self.bits += width * values.size

    def write_mask(self, levels: NDArray) -> None:
        """Write one bit for each coordinate: is it non-zero?"""
        kernels.put_mask(self.reserve(levels.size), self.bits, levels)
        self.bits += levels.size

    def write_signs(self, levels: NDArray) -> None:
        """Write one bit for each non-zero coordinate: 1 where it is negative."""
        self.bits = kernels.put_signs(self.reserve(levels.size), self.bits, levels)

    def getvalue(self) -> bytes:
        """The bytes written, the last one filled up with zero bits."""
        count = -(-self.bits // 8)
        return self._words[: -(-self.bits // 64)].astype(">u8").tobytes()[:count]


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

    def read_uints(self, count: int, width: int) -> NDArray[np.uint64]:
        """Read ``count`` integers of ``width`` (1 to 64) bits each."""
        start = self.take(count * width)
        values = np.empty(count, np.uint64)
        kernels.get_words(self.words, start, width, values)
        return values

    def read_mask(self, count: int) -> NDArray[np.bool_]:
        """Read ``count`` booleans of one bit each."""
        start = self.take(count)
        mask = np.empty(count, np.bool_)
        kernels.get_mask(self.words, start, mask)
        return mask


def write_unary(writer: BitWriter, levels: NDArray) -> None:
    """Write each non-zero |level| k as k - 1 zeros and a one: k bits. Zero levels are skipped.

    >>> writer = BitWriter()
    >>> write_unary(writer, np.array([1, 0, -3, 2]))
    >>> writer.bits, f"{writer.getvalue()[0]:08b}"
    (6, '10010100')
    """
    room = int(np.abs(levels).sum(dtype=np.int64))
    writer.bits = kernels.put_unary(writer.reserve(room), writer.bits, levels)


def read_unary(reader: BitReader, count: int) -> NDArray[np.int64]:
    """Read ``count`` positive integers in unary."""
    if count > reader.remaining:  # before anything is allocated: each takes a bit at least
        raise FormatError(
            f"payload ends: {count} unary numbers wanted, {reader.remaining} bits left"
        )
    values = np.empty(count, np.int64)
    position = kernels.get_unary(reader.words, reader.position, reader.end, values)
    if position < 0:
        raise FormatError("payload ends inside a unary number")
    reader.position = position
    return values


def write_rice(writer: BitWriter, values: ArrayLike, parameter: int) -> None:
    """Golomb-Rice code: value >> parameter in unary, then its low ``parameter`` bits.

    A value v >= 0 takes (v >> parameter) + 1 + parameter bits.

    >>> writer = BitWriter()
    >>> write_rice(writer, [0, 5], parameter=1)
    >>> writer.bits, f"{writer.getvalue()[0]:08b}"
    (6, '10001100')
    """
    numbers = np.atleast_1d(np.asarray(values, dtype=np.uint64))
    room = int((numbers >> np.uint64(parameter)).sum()) + (1 + parameter) * numbers.size
    kernels.put_rice(writer.reserve(room), writer.bits, numbers, parameter)
    writer.bits += room


def read_rice(reader: BitReader, count: int, parameter: int) -> NDArray[np.uint64]:
    """Read ``count`` Golomb-Rice numbers."""
    if count > reader.remaining:
        raise FormatError(f"payload ends: {count} numbers wanted, {reader.remaining} bits left")
    values = np.empty(count, np.uint64)
    position = kernels.get_rice(reader.words, reader.position, reader.end, parameter, values)
    if position < 0:
        raise FormatError("payload ends inside a Golomb-Rice number, or the number exceeds 64 bits")
    reader.position = position
    return values


def write_positive_float(writer: BitWriter, value: float) -> None:
    """Write a float32 that is finite and not negative in 31 bits: it needs no sign bit."""
    single = np.float32(value)
    if float(single) != value or not 0 <= single < np.inf:
        raise ValueError(f"value {value} is not a finite non-negative float32")
    writer.write_uint(int(single.view(np.uint32)), 31)


def read_positive_float(reader: BitReader) -> float:
    """Read the float of ``write_positive_float``. Raises FormatError for infinity and NaN."""
    value = np.uint32(reader.read_uint(31)).view(np.float32)
    if not np.isfinite(value):
        raise FormatError(f"scale is {value}; it must be finite")
    return float(value)


def log2_binomial(d: int, members: int) -> float:
    """log2 C(d, members), for any size."""
    if d <= EXACT_SUBSET_DIM:
        return math.log2(math.comb(d, members))
    natural = math.lgamma(d + 1) - math.lgamma(members + 1) - math.lgamma(d - members + 1)
    return natural / math.log(2)


def subset_bits(d: int, members: int) -> int:
    """Length of the exact subset code, ceil(log2 C(d, members)) bits (d <= 10 000)."""
    return ceil_log2(math.comb(d, members))


def write_subset(writer: BitWriter, mask: NDArray[np.bool_], members: int) -> None:
    """Say which ``members`` of the d coordinates are in ``mask``. Must come last in a payload.

    d <= 10 000: the rank among all C(d, members) subsets (combinatorial number system), in exactly
    ceil(log2 C(d, members)) bits. Beyond: asymmetric numeral systems, within 1 % + 64 bits of
    log2 C(d, members), in linear time; its length is what is left of the payload.
    """
    d = mask.size
    if members in (0, d):
        return
    if d > EXACT_SUBSET_DIM:
        _write_entropy_coded_subset(writer, mask, members)
        return
    width = subset_bits(d, members)
    limbs = np.zeros(width // 32 + 2, np.uint32)
    kernels.rank_subset(mask, members, limbs)
    writer.write_uint(int.from_bytes(limbs.tobytes(), "little"), width)


def read_subset(reader: BitReader, d: int, members: int) -> NDArray[np.bool_]:
    """Read the boolean mask of a subset of known size."""
    if members in (0, d):
        return np.full(d, members == d)
    if d > EXACT_SUBSET_DIM:
        return _read_entropy_coded_subset(reader, d, members)
    width = subset_bits(d, members)
    rank = reader.read_uint(width)
    size = width // 32 + 2
    limbs = np.frombuffer(rank.to_bytes(4 * size, "little"), np.uint32).copy()
    binomial = math.comb(d - 1, members).to_bytes(4 * size, "little")
    mask = np.zeros(d, np.bool_)
    if not kernels.unrank_subset(limbs, np.frombuffer(binomial, np.uint32).copy(), members, mask):
        raise FormatError(f"subset rank {rank} is not below C({d}, {members})")
    return mask


def _subset_model(d: int, members: int) -> tuple[object, int]:
    """constriction's model of ``group`` coordinates at a time, from the integer counts alone.

    Eight at a time is eight times faster; for very rare members the floor of 2^-24 on the
    probability of each of the 256 groups would cost too much, and coordinates go one by one.
    """
    group = 8 if 8192 * min(members, d - members) >= d else 1
    weights = [
        max(1, (members**k * (d - members) ** (group - k) << _PRECISION) // d**group)
        for k in range(group + 1)
    ]
    counts = np.array([weights[pattern.bit_count()] for pattern in range(1 << group)], np.float64)
    model = constriction.stream.model.Categorical(counts / counts.sum(), perfect=False)
    return model, group


def _write_entropy_coded_subset(writer: BitWriter, mask: NDArray[np.bool_], members: int) -> None:
    model, group = _subset_model(mask.size, members)
    symbols = np.packbits(mask) if group == 8 else mask
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols.astype(np.int32), model)
    words = coder.get_compressed()[::-1].astype(np.uint64)
    writer.write_uint(int(words[0]), int(words[0]).bit_length())  # its leading zeros say nothing
    if words.size > 1:
        writer.write_uints(words[1:], 32)


def _read_entropy_coded_subset(reader: BitReader, d: int, members: int) -> NDArray[np.bool_]:
    head = (reader.remaining - 1) % 32 + 1
    words = [np.array([reader.read_uint(head)], np.uint64)]
    if reader.remaining:
        words.append(reader.read_uints(reader.remaining // 32, 32))
    stream = np.concatenate(words)[::-1].astype(np.uint32)
    if stream[-1].item().bit_length() != head:
        raise FormatError("subset code does not begin with a one")
    model, group = _subset_model(d, members)
    coder = constriction.stream.stack.AnsCoder(stream)
    symbols = coder.decode(model, -(-d // group)).astype(np.uint8)
    bits = np.unpackbits(symbols) if group == 8 else symbols
    if not coder.is_empty() or np.any(bits[d:]) or np.count_nonzero(bits[:d]) != members:
        raise FormatError(f"subset code is damaged: it does not hold {members} of {d} coordinates")
    return bits[:d].astype(np.bool_)
