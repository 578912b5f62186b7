"""A histogram of symbols as few bits: every count rounded to five significant bits."""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..numerics.compiled import kernel
from .alphabet import REACH, SYMBOLS
from .bits import BitReader, BitWriter, FormatError
from .elias_gamma import get_gamma, put_gamma
from .words import get, leading_zeros, put

_SIGNIFICANT = 5
_LONGEST = 40  # bits of a count
_ROOM = 17 * SYMBOLS + 64  # bits of a histogram: 13 tell a length, 4 the leading bits


def write_counts(writer: BitWriter, histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write first used symbol, number of symbols, and of each count its length and leading bits.

    Returns the counts as they were rounded. Lengths are told by their change, in Elias gamma code.
    """
    rounded = np.zeros_like(histogram)
    writer.bits = _put_counts(writer.reserve(_ROOM), writer.bits, histogram, rounded)
    return rounded


def read_counts(reader: BitReader) -> NDArray[np.int64]:
    """Read the rounded counts. Raises FormatError for symbols or lengths that there are not."""
    rounded = np.zeros(SYMBOLS, np.int64)
    position = _get_counts(reader.words, reader.position, reader.end, rounded)
    if position < 0:
        raise FormatError(
            f"payload does not hold a model: counts of 0 to {_LONGEST} bits "
            f"of symbols within 0 to {SYMBOLS - 1}"
        )
    reader.position = position
    return rounded


@kernel
def least_bits(histograms):
    """Bits that the counts take at least: one each, and up to four more."""
    bits = 0
    for histogram in histograms:
        for count in histogram:
            bits += min(_bit_length(count), _SIGNIFICANT)
    return bits


@kernel
def _put_counts(words, position, histogram, rounded):
    used = np.flatnonzero(histogram)
    first, last = (used[0], used[-1]) if used.size else (REACH, REACH - 1)
    position = put_gamma(words, position, _zigzag(first - REACH) + 1)
    position = put_gamma(words, position, last - first + 2)
    length = 0
    for symbol in range(first, last + 1):
        value, before = histogram[symbol], length
        surplus = max(_bit_length(value) - _SIGNIFICANT, 0)
        value = value + (1 << surplus >> 1) >> surplus << surplus
        length = _bit_length(value)
        position = put_gamma(words, position, _zigzag(length - before) + 1)
        leading = min(length, _SIGNIFICANT) - 1
        if leading > 0:  # the first one is known
            put(words, position, value >> length - 1 - leading & (1 << leading) - 1, leading)
            position += leading
        rounded[symbol] = value
    return position


@kernel
def _get_counts(words, position, end, rounded):
    """Set the counts, which must be zeros; the new position, or -1 where there are none such."""
    number, position = get_gamma(words, position, end)
    first = REACH + _unzigzag(number - 1)
    number, position = get_gamma(words, position, end)
    last, length = first + number - 1, 0
    if position < 0 or not 0 <= first <= last <= SYMBOLS:
        return -1
    for symbol in range(first, last):
        number, position = get_gamma(words, position, end)
        length += _unzigzag(number - 1)
        leading = min(length, _SIGNIFICANT) - 1
        if position < 0 or not 0 <= length <= _LONGEST or position + leading > end:
            return -1
        if length:
            value = 1 << leading
            if leading:
                value |= np.int64(get(words, position, leading))
            position += leading
            rounded[symbol] = value << length - 1 - leading
    return position


@kernel
def _bit_length(value):
    return 64 - np.int64(leading_zeros(np.uint64(value)))


@kernel
def _zigzag(value):
    return 2 * value if value >= 0 else -2 * value - 1


@kernel
def _unzigzag(value):
    return value // 2 if value % 2 == 0 else -(value + 1) // 2
