"""Asymmetric numeral systems with interleaved states: range variant, tables, 16-bit words.

A state x in [2^20, 2^36) takes a symbol of frequency f and start s, of 2^15 in all, by
x -> floor(x / f) 2^15 + x mod f + s, and gives a word away first where it would grow too large. The
decoder does the same backwards, so symbols are written from the last to the first. Several states
take turns, which lets a processor work on several symbols at once; each takes 20 bits too many.

Source: Duda 2013 (arXiv:1311.2540); interleaved: Giesen 2014 (arXiv:1402.3392).
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..numerics.compiled import kernel
from .bits import FormatError
from .words import high_product

PRECISION = 15
"""Frequencies of a row sum to 2^PRECISION."""

FIRST = 1 << 20
"""The state before the first symbol is written, and after the last is read."""

STATE_BITS = 36

SYMBOLS = 256
"""Symbols of a row."""

_TOTAL = 1 << PRECISION
_WORD, _LEAST = np.uint64(16), np.uint64(FIRST)


class Tables(NamedTuple):
    """What coder and decoder look up; the rows of a model lie one behind the other."""

    frequency: NDArray[np.uint32]
    """rows x SYMBOLS."""
    start: NDArray[np.uint32]
    """Sum of the frequencies before it in its row."""
    symbol: NDArray[np.uint8]
    """rows x 2^PRECISION: whose place it is."""
    reciprocal: NDArray[np.uint64]
    """floor(x / f) = 2 x reciprocal >> 64 + shift for x < 2^63."""
    shift: NDArray[np.uint64]


def tables(weights: NDArray[np.int64]) -> Tables:
    """Tables of rows x SYMBOLS weights; a symbol of weight 0 cannot be written.

    Raises FormatError for a row without weights, or with 2^47 and more.
    """
    if weights.min() < 0 or not np.all(weights.sum(axis=1)):
        raise FormatError("a row of a model has no weight")
    size, rows = weights.size, weights.shape[0]
    made = Tables(
        np.empty(size, np.uint32),
        np.empty(size, np.uint32),
        np.empty(rows * _TOTAL, np.uint8),
        np.empty(size, np.uint64),
        np.empty(size, np.uint64),
    )
    if not _fill(weights, *made):
        raise FormatError("a row of a model has weights of 2^47 or more in all")
    return made


@kernel
def _reciprocal(f, power):
    """ceil(2^(63 + power) / f) modulo 2^64, by long division; 2^(power - 1) < f <= 2^power."""
    rest, quotient, divisor = np.uint64(1), np.uint64(0), np.uint64(f)
    for _ in range(63 + power):
        quotient <<= np.uint64(1)
        rest <<= np.uint64(1)
        if rest >= divisor:
            rest -= divisor
            quotient |= np.uint64(1)
    return quotient + np.uint64(rest > 0)


@kernel
def _fill(weights, frequency, start, symbol, reciprocal, shift):
    """Frequencies are proportional to the weights, at least 1; the largest takes what is left."""
    for row in range(weights.shape[0]):
        total, largest, left = weights[row].sum(), 0, _TOTAL
        if total >= 1 << 47:
            return False
        for s in range(SYMBOLS):
            w, i = weights[row, s], row * SYMBOLS + s
            f = max((w << PRECISION) // total, 1) if w else 0
            frequency[i] = f
            left -= f
            if w > weights[row, largest]:
                largest = s
        top = np.int64(frequency[row * SYMBOLS + largest]) + left
        if top < 1:
            return False
        frequency[row * SYMBOLS + largest] = top
        at = 0
        for s in range(SYMBOLS):
            i = row * SYMBOLS + s
            f = np.int64(frequency[i])
            start[i] = at
            symbol[row * _TOTAL + at : row * _TOTAL + at + f] = s
            at += f
            power = 0
            while f > 1 << power:
                power += 1
            shift[i] = power
            reciprocal[i] = _reciprocal(f, power) if f else np.uint64(0)
    return True


@register_jitable(forceinline=True)
def pushed(x, frequency, start, reciprocal, shift, words, at):
    """State and place after a symbol was written; a word goes before ``at``."""
    f = np.uint64(frequency)
    words[at - np.uint64(1)] = np.uint16(x)
    full = x >= f << np.uint64(STATE_BITS - PRECISION)
    at -= np.uint64(full)
    x = x >> _WORD if full else x
    q = high_product(x << np.uint64(1), reciprocal) >> shift
    return x + q * (np.uint64(_TOTAL) - f) + np.uint64(start), at


@register_jitable(forceinline=True)
def pushed_bit(x, bit, words, at):
    """The same for a bit as it is."""
    if x >> np.uint64(STATE_BITS - 1):
        at -= np.uint64(1)
        words[at] = np.uint16(x)
        x >>= _WORD
    return x << np.uint64(1) | np.uint64(bit), at


@register_jitable(forceinline=True)
def refilled(x, words, at, end):
    """State and place after a word is taken in where one is needed.

    Behind the words there is one more, at ``end``: in damaged messages it is taken again and again.
    """
    need = x < _LEAST  # of it alone: whatever else is asked here, the next symbol waits for it
    more = (x << _WORD) | np.uint64(words[min(at, end)])
    return (more if need else x), at + np.uint64(need)
