"""The codes of the paper: unary, Golomb-Rice, the subset code, the positive float.

They write to a ``BitWriter`` and read from a ``BitReader``; lengths are in bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import words
from .bits import BitReader, BitWriter, FormatError, ceil_log2
from .subset import EXACT_SUBSET_DIM, log2_binomial, read_subset, subset_bits, write_subset

__all__ = [
    "EXACT_SUBSET_DIM",
    "ceil_log2",
    "log2_binomial",
    "read_positive_float",
    "read_positive_floats",
    "read_rice",
    "read_subset",
    "skip_unary",
    "subset_bits",
    "write_positive_float",
    "write_positive_floats",
    "write_rice",
    "write_subset",
    "write_unary",
]


_INFINITE = 0x7F80_0000
"""The pattern of a float32 from which on none is finite and positive."""


def write_unary(writer: BitWriter, levels: NDArray) -> None:
    """Write each non-zero |level| k as k - 1 zeros and a one: k bits. Zero levels are skipped.

    >>> writer = BitWriter()
    >>> write_unary(writer, np.array([1, 0, -3, 2]))
    >>> writer.bits, f"{writer.getvalue()[0]:08b}"
    (6, '10010100')
    """
    room = words.sum_of_magnitudes(levels)
    writer.bits = words.put_unary(writer.reserve(room), writer.bits, levels)


def skip_unary(reader: BitReader, count: int) -> int:
    """Advance behind ``count`` unary numbers; return the position where they begin."""
    if count > reader.remaining:  # before anything is allocated: each takes a bit at least
        raise FormatError(
            f"payload ends: {count} unary numbers wanted, {reader.remaining} bits left"
        )
    end = words.after_ones(reader.words, reader.position, reader.end, count)
    if end < 0:
        raise FormatError("payload ends inside a unary number")
    return reader.take(end - reader.position)


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
    words.put_rice(writer.reserve(room), writer.bits, numbers, parameter)
    writer.bits += room


def read_rice(reader: BitReader, count: int, parameter: int) -> NDArray[np.uint64]:
    """Read ``count`` Golomb-Rice numbers."""
    if count > reader.remaining:
        raise FormatError(f"payload ends: {count} numbers wanted, {reader.remaining} bits left")
    values = np.empty(count, np.uint64)
    position = words.get_rice(reader.words, reader.position, reader.end, parameter, values)
    if position < 0:
        raise FormatError("payload ends inside a Golomb-Rice number, or the number exceeds 64 bits")
    reader.position = position
    return values


def write_positive_float(writer: BitWriter, value: float, bits: int = 31) -> None:
    """Write a float32 that is finite and not negative: 31 bits, for it needs no sign bit.

    Of fewer ``bits``, 8 are the exponent and the rest are the mantissa's first. Raises ValueError
    for a value that they do not hold exactly.
    """
    single, left_out = np.float32(value), 31 - bits
    pattern = int(single.view(np.uint32))
    if float(single) != value or not 0 <= single < np.inf:
        raise ValueError(f"value {value} is not a finite non-negative float32")
    if pattern & ((1 << left_out) - 1):
        raise ValueError(f"value {value} is not a float32 with a mantissa of {bits - 8} bits")
    writer.write_uint(pattern >> left_out, bits)


def read_positive_float(reader: BitReader, bits: int = 31) -> float:
    """Read the float of ``write_positive_float``. Raises FormatError for infinity and NaN."""
    value = np.uint32(reader.read_uint(bits) << 31 - bits).view(np.float32)
    if not np.isfinite(value):
        raise FormatError(f"scale is {value}; it must be finite")
    return float(value)


def write_positive_floats(writer: BitWriter, values: NDArray[np.float32], bits: int = 31) -> None:
    """Write each as ``write_positive_float`` does; they must be such values."""
    writer.write_uints(values.view(np.uint32) >> np.uint32(31 - bits), bits)


def read_positive_floats(reader: BitReader, count: int, bits: int = 31) -> NDArray[np.float32]:
    """Read ``count`` (1 or more) of them. Raises FormatError if one is infinite or NaN."""
    patterns = reader.read_uints(count, bits, "uint32") << np.uint32(31 - bits)
    if patterns.max() >= _INFINITE:
        raise FormatError("a scale is not finite")
    return patterns.view(np.float32)
