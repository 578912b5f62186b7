"""A histogram of symbols as few bits: every count rounded to five significant bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .alphabet import REACH, SYMBOLS
from .bits import BitReader, BitWriter, FormatError
from .elias_gamma import read_gamma, write_gamma

_SIGNIFICANT = 5


def write_counts(writer: BitWriter, histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write first used symbol, number of symbols, and of each count its length and leading bits.

    Returns the counts as they were rounded. Lengths are told by their change, in Elias gamma code.
    """
    rounded, used = np.zeros_like(histogram), np.flatnonzero(histogram)
    first, last = (int(used[0]), int(used[-1])) if used.size else (REACH, REACH - 1)
    write_gamma(writer, _zigzag(first - REACH) + 1)
    write_gamma(writer, last - first + 2)
    length = 0
    for symbol in range(first, last + 1):
        value = int(histogram[symbol])
        surplus = max(value.bit_length() - _SIGNIFICANT, 0)
        value = value + (1 << surplus >> 1) >> surplus << surplus
        write_gamma(writer, _zigzag(value.bit_length() - length) + 1)
        length = value.bit_length()
        leading = min(length, _SIGNIFICANT) - 1
        if leading > 0:  # the first one is known
            writer.write_uint(value >> length - 1 - leading & (1 << leading) - 1, leading)
        rounded[symbol] = value
    return rounded


def read_counts(reader: BitReader) -> NDArray[np.int64]:
    """Read the rounded counts. Raises FormatError for symbols or lengths that there are not."""
    rounded, length = np.zeros(SYMBOLS, np.int64), 0
    first = REACH + _unzigzag(read_gamma(reader) - 1)
    end = first + read_gamma(reader) - 1
    if not 0 <= first <= end <= SYMBOLS:
        raise FormatError(f"model has symbols {first} to {end - 1}; allowed are 0 to {SYMBOLS - 1}")
    for symbol in range(first, end):
        length += _unzigzag(read_gamma(reader) - 1)
        if not 0 <= length <= 40:
            raise FormatError(f"a count of the model has {length} bits; allowed are 0 to 40")
        leading = min(length, _SIGNIFICANT) - 1
        if length:
            value = 1 << leading | reader.read_uint(leading)
            rounded[symbol] = value << length - 1 - leading
    return rounded


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2
