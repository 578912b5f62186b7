"""Paths as bits: interleaved rANS whose decoder walks the trellis as it reads.

The class of a state picks the row of the model, and what is read moves the state on: there is no
pass that sorts levels by class, and none that joins them again.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from ...coding.rans import (
    PRECISION,
    SYMBOLS,
    pushed,
    pushed_bit,
    refilled,
)
from ...numerics.compiled import kernel
from ...numerics.simd import LANES
from .search import CELL
from .stretches import BLOCK, CLASSES, ESCAPE, key_of, scatter

_DIRECT = ESCAPE // 2  # the largest level with a symbol of its own
_MOST_BITS = 20  # of what a level is beyond


@kernel
def write_path(path, size, length, cells, frequency, start, reciprocal, shift, words, at, states):
    """Write the path of a chunk into ``words`` before ``at``; returns where they begin.

    -1 where there is no room. ``cells`` name the models; ``states`` are the coder's, a power of two
    of them.
    """
    s, way_mask, place = states.copy(), np.uint64(states.size - 1), np.uint64(at)
    keys = np.empty(LANES, np.uint32)
    for t in range(path.size // LANES - 1, -1, -1):
        if place < 4 * LANES:
            return -1
        row, models = path[t * LANES : (t + 1) * LANES], cells[t // CELL]
        for i in range(LANES):
            keys[i] = key_of(row[i]) + np.uint32(CLASSES * SYMBOLS) * np.uint32(models[i])
        for i in range(min(LANES, -((t - size) // length)) - 1, -1, -1):
            k, way = np.uint64(keys[np.uint64(i)]), np.uint64(i) & way_mask
            x = s[way]
            if k & np.uint64(ESCAPE) == ESCAPE:
                x, place = _push_rest(x, row[i] >> np.int32(2), words, place)
            x, place = pushed(x, frequency[k], start[k], reciprocal[k], shift[k], words, place)
            s[way] = x
    states[:] = s
    return np.int64(place)


@kernel
def _push_rest(x, n, words, at):
    """Sign and magnitude of an escaped level, to be read in this order, in Elias' gamma code."""
    rest = ((abs(np.int64(n)) + 1) >> 1) - _DIRECT
    width = 0
    while rest >> (width + 1):
        width += 1
    for k in range(width):
        x, at = pushed_bit(x, rest >> k & 1, words, at)
    x, at = pushed_bit(x, 1, words, at)
    for _ in range(width):
        x, at = pushed_bit(x, 0, words, at)
    return pushed_bit(x, np.int64(n < 0), words, at)


@kernel
def read_path(
    words, at, coder, place, taps, odd_taps, cells, frequency, start, symbol, scale, length, values
):
    """Read a chunk of the path: values = scale n; returns the place in ``words`` behind it.

    -1 where the words or an escaped level have no end. ``place`` are the states of the trellis,
    ``coder`` those of the coder; ``cells`` name the models; behind the words there is one more.
    """
    one, s, way_mask = np.uint32(1), coder.copy(), np.uint64(coder.size - 1)
    at, end, precision, eight = (
        np.uint64(at),
        np.uint64(words.size - 1),
        np.uint64(PRECISION),
        np.uint64(8),
    )
    h0, h1, mask = np.uint32(odd_taps), np.uint32(taps), np.uint64((1 << PRECISION) - 1)
    block, size = np.empty(BLOCK * LANES, np.int32), values.size
    first, rows, codes = (
        np.empty(LANES, np.uint32),
        np.empty(LANES, np.uint32),
        np.zeros(LANES, np.int32),
    )
    for begin in range(0, length, BLOCK):
        steps, models = min(BLOCK, length - begin), cells[begin // CELL]
        for i in range(LANES):
            first[i] = np.uint32(CLASSES) * np.uint32(models[i])
        for t in range(steps):
            for i in range(LANES):
                rows[i] = first[i] + (place[i] & one) + np.uint32(place[i] != 0)
            for i in range(min(LANES, -((begin + t - size) // length))):
                lane, way = np.uint64(i), np.uint64(i) & way_mask
                row, x = np.uint64(rows[lane]), s[way]
                slot = x & mask
                code = symbol[(row << precision) + slot]
                k = (row << eight) + np.uint64(code)
                x = np.uint64(frequency[k]) * (x >> precision) + slot
                x, at = refilled(x - np.uint64(start[k]), words, at, end)
                codes[lane] = code
                if code == ESCAPE:
                    x, at, codes[lane] = _pull_rest(x, words, at, end)
                    if codes[lane] < 0:
                        return -1
                s[way] = x
            out = block[t * LANES : (t + 1) * LANES]
            for i in range(LANES):
                now = place[i]
                odd = now & one
                level = (codes[i] + np.int32(1)) >> np.int32(1)
                n = level + level - np.int32(odd & np.uint32(level != 0))
                n = -n if codes[i] & np.int32(1) else n
                b = np.uint32(n >> np.int32(1)) & one
                out[i] = n
                place[i] = (now >> one) ^ (h0 * odd) ^ (h1 * b)
        scatter(block, begin, steps, length, scale, values)
    coder[:] = s
    return np.int64(at) if at <= end else -1


@kernel
def _pull_rest(x, words, at, end):
    """State, place, and an escaped level as the symbol that it would have; -1 where it has no end.

    That is 2 |level|, less one where it is negative.
    """
    minus, x, at = _pull_bit(x, words, at, end)
    width = np.int32(0)
    while True:
        bit, x, at = _pull_bit(x, words, at, end)
        if bit:
            break
        width += np.int32(1)
        if width > _MOST_BITS:
            return x, at, np.int32(-1)
    rest = np.int32(1)
    for _ in range(width):
        bit, x, at = _pull_bit(x, words, at, end)
        rest = (rest << np.int32(1)) | bit
    return x, at, np.int32(2) * (np.int32(_DIRECT) + rest) - minus


@register_jitable(forceinline=True)
def _pull_bit(x, words, at, end):
    """The bit, and state and place behind it."""
    bit = np.int32(x & np.uint64(1))
    x, at = refilled(x >> np.uint64(1), words, at, end)
    return bit, x, at
