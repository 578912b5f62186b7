"""Levels of any size from a small alphabet: symbols, and raw bits below them.

|k| < 16 has a symbol of its own. From 16 on every octave has eight symbols, and the bits of k below
its four leading ones follow as they are: an outlier costs a symbol and some bits, no memory.
"""

# ruff: noqa: ANN001, ANN201 - numba infers the types

from __future__ import annotations

import numpy as np

from ..numerics.compiled import kernel
from .words import get, put

DIRECT = 16
REACH = DIRECT + 8 * 27 - 1
"""Symbol of the largest magnitudes, those below 2**31."""
SYMBOLS = 2 * REACH + 1
"""Size of the alphabet: the symbol of k is REACH + sign(k) bucket(|k|)."""


@kernel
def bucket(k):
    """Number of the bucket of k >= 0."""
    if k < DIRECT:
        return k
    octave = 4
    while k >> (octave + 1):
        octave += 1
    return DIRECT + 8 * (octave - 4) + ((k >> (octave - 3)) & 7)


@kernel
def raw_bits(number):
    """Raw bits of every level in bucket ``number``."""
    return 0 if number < DIRECT else 1 + (number - DIRECT) // 8


@kernel
def smallest(number):
    """The smallest k in a bucket; that of the next bucket ends it."""
    if number < DIRECT:
        return number
    return (8 + (number - DIRECT) % 8) << raw_bits(number)


@kernel
def count(levels, histogram):
    """Add the symbols of the levels to ``histogram``; return the number of raw bits."""
    parts = np.zeros((4, 2 * DIRECT), np.int64)  # four, so that equal neighbours do not wait
    raw = 0
    for i in range(levels.size):
        k = levels[i]
        if -DIRECT < k < DIRECT:
            parts[i & 3, k + DIRECT] += 1
        else:
            number = bucket(abs(np.int64(k)))
            histogram[REACH + number if k > 0 else REACH - number] += 1
            raw += raw_bits(number)
    for j in range(1, 2 * DIRECT):
        histogram[REACH - DIRECT + j] += parts[:, j].sum()
    return raw


@kernel
def to_symbols(levels, first, symbols):
    """Symbols less ``first``, in int32."""
    for i in range(levels.size):
        k = levels[i]
        if -DIRECT < k < DIRECT:
            symbols[i] = REACH + k - first
        else:
            number = bucket(abs(np.int64(k)))
            symbols[i] = (REACH + number if k > 0 else REACH - number) - first


@kernel
def put_raw(words, position, levels):
    """Write the raw bits of every level; return the new position."""
    for level in levels:
        k = abs(np.int64(level))
        width = raw_bits(bucket(k))
        if width:
            put(words, position, np.uint64(k & ((1 << width) - 1)), width)
            position += width
    return position


@kernel
def store(levels, out):
    """Copy the levels to an array of a type that may be narrower; whether all of them fit."""
    same = True
    for i in range(levels.size):
        out[i] = levels[i]
        same &= out[i] == levels[i]
    return same


@kernel
def from_symbols(symbols, first, words, position, end):
    """Symbols become levels, in place; the new position of the raw bits, or -1 if they run out."""
    for i in range(symbols.size):
        k = symbols[i] + first - REACH
        number = abs(k)
        if number >= DIRECT:
            width = raw_bits(number)
            if position + width > end:
                return -1
            magnitude = smallest(number) + np.int64(get(words, position, width))
            position += width
            k = magnitude if k > 0 else -magnitude
        symbols[i] = k
    return position
