"""The words of an entropy coder (asymmetric numeral systems) as the end of a payload.

The coder is constriction's; its words of 32 bits are read from the last to the first. The first
one's leading zeros say nothing and are not sent, so the length of the payload settles them all.
``Decoder`` reads what the coder wrote with a categorical model, several times faster: the state has
64 bits, probabilities have 24, and a word follows whenever the state fits in 32.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

from typing import NamedTuple

import constriction
import numpy as np
from numpy.typing import NDArray

from ..numerics.compiled import kernel
from .bits import BitReader, BitWriter, FormatError

_PRECISION = 24
_LOOKUP = 12  # leading bits of a quantile, by which its symbol is found nearly


def write_coder(writer: BitWriter, coder: constriction.stream.stack.AnsCoder) -> None:
    """Write a coder's words. Must come last in a payload."""
    words = np.ascontiguousarray(coder.get_compressed()[::-1])
    if words.size:
        writer.write_uint(int(words[0]), int(words[0]).bit_length())
        writer.write_uints(words[1:], 32)


def read_coder(reader: BitReader) -> constriction.stream.stack.AnsCoder:
    """The coder whose words are what is left of the payload. Raises FormatError if none's are."""
    return constriction.stream.stack.AnsCoder(_read_words(reader))


def _read_words(reader: BitReader) -> NDArray[np.uint32]:
    if not reader.remaining:
        return np.empty(0, np.uint32)
    head = (reader.remaining - 1) % 32 + 1
    first = reader.read_uint(head)
    if first.bit_length() != head:
        raise FormatError("entropy code does not begin with a one")
    rest = reader.read_uints(reader.remaining // 32, 32, "uint32")
    return np.append(rest[::-1], np.uint32(first))


class Intervals(NamedTuple):
    """Of a categorical model: where the interval of each symbol begins, and the end of the last.

    ``nearly`` has for the leading bits of a quantile the symbol of the smallest such quantile.
    """

    begin: NDArray[np.uint64]
    nearly: NDArray[np.int64]


def intervals(probabilities: NDArray[np.float64]) -> Intervals:
    """As constriction's ``Categorical(probabilities, perfect=False)`` has them.

    Every symbol has one part of 2^24, and of those that are left its probability.
    """
    begin = np.empty(probabilities.size + 1, np.uint64)
    nearly = np.empty(1 << _LOOKUP, np.int64)
    _fill_intervals(probabilities, begin, nearly)
    return Intervals(begin, nearly)


@kernel
def _fill_intervals(probabilities, begin, nearly):
    size, total, before = probabilities.size, 0.0, 0.0
    for share in probabilities:  # one after the other, as constriction adds them
        total += share
    factor = ((1 << _PRECISION) - size) / total
    for symbol in range(size):
        begin[symbol] = np.int64(before * factor) + symbol
        before += probabilities[symbol]
    begin[size] = 1 << _PRECISION
    symbol = 0
    for i in range(nearly.size):
        while begin[symbol + 1] <= np.uint64(i) << np.uint64(_PRECISION - _LOOKUP):
            symbol += 1
        nearly[i] = symbol


class Decoder:
    """Reads the symbols of what is left of a payload. Raises FormatError if no coder wrote it."""

    def __init__(self, reader: BitReader) -> None:
        self._words = _read_words(reader)
        self._left, self._state = len(self._words), 0
        for _ in range(min(2, self._left)):
            self._left -= 1
            self._state = self._state << 32 | int(self._words[self._left])

    def decode(self, model: Intervals, count: int) -> NDArray[np.int32]:
        """The next symbols; any numbers where the words do not hold so many."""
        symbols = np.empty(count, np.int32)
        state = np.uint64(self._state)
        self._left, state = _decode(
            self._words, self._left, state, model.begin, model.nearly, symbols
        )
        self._state = int(state)
        return symbols

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not self._left and not self._state


@kernel
def _decode(words, left, state, begin, nearly, symbols):
    """Fill ``symbols``; the number of words that are left, and the state."""
    mask, precision = np.uint64((1 << _PRECISION) - 1), np.uint64(_PRECISION)
    lookup, word = np.uint64(_PRECISION - _LOOKUP), np.uint64(32)
    for i in range(symbols.size):
        quantile = state & mask
        symbol = nearly[quantile >> lookup]
        while begin[symbol + 1] <= quantile:
            symbol += 1
        width = begin[symbol + 1] - begin[symbol]
        state = (state >> precision) * width + (quantile - begin[symbol])
        if state >> word == 0 and left > 0:
            left -= 1
            state = state << word | np.uint64(words[left])
        symbols[i] = symbol
    return left, state
