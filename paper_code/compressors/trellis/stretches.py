"""A long vector as 64 sequences: chunks of x, each cut into 64 stretches of neighbours.

Lane i of a chunk takes its stretch coordinate by coordinate; in the next chunk it goes on from the
state that it reached. So neighbours stay neighbours on a path, and a chunk is one piece of x, with
its own scale and, where that pays, its own model. A path is kept as 4 n + class, step by step.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ...coding.rans import SYMBOLS
from ...numerics.compiled import kernel
from ...numerics.simd import LANES
from .search import rates_at

CLASSES = 3
"""Classes of states: state 0, where runs of zeros stay; the other even states; odd states."""

ESCAPE = SYMBOLS - 1
"""The symbol of levels beyond 127, whose magnitude follows in bits of its own."""

LARGEST = 1 << 20
"""Largest |n|: float32 tells neighbours apart well beyond."""

_STEPS = 1024
BLOCK = 16
"""Steps that are turned into the order of x together."""


@dataclass(frozen=True)
class Chunk:
    """Coordinates ``first`` to ``first`` + ``size`` of x, up to ``steps`` for each lane."""

    first: int
    size: int
    steps: int


def chunks(d: int) -> list[Chunk]:
    """The chunks of d coordinates, 1024 steps each; the last has fewer."""
    firsts = range(0, d, _STEPS * LANES)
    sizes = [min(_STEPS * LANES, d - first) for first in firsts]
    return [Chunk(f, size, -(-size // LANES)) for f, size in zip(firsts, sizes, strict=True)]


WIDTHS = (1, 64, 128, 256, 512, 1024)
"""A chunk may be read as a matrix with rows of so many coordinates, column by column."""


def by_columns(values: NDArray[Any], width: int) -> NDArray[Any]:
    """The columns of ``values`` read as rows of ``width``, one after the other, and what is left.

    In a layer's weights they belong to one input: where that is silent, all of them are zero.
    """
    whole = values.size // width * width
    return np.append(values[:whole].reshape(-1, width).T, values[whole:])


def by_rows(values: NDArray[Any], width: int) -> NDArray[Any]:
    """The inverse of ``by_columns``."""
    whole = values.size // width * width
    return np.append(values[:whole].reshape(width, -1).T, values[whole:])


def stretches(
    x: NDArray[Any], chunk: Chunk, steps: int, y: NDArray[np.float32], width: int = 1
) -> None:
    """The first ``steps`` steps of a chunk, 64 lanes each; zeros where a lane has no more."""
    if chunk.size < chunk.steps * LANES:
        y[: steps * LANES] = 0
    own = x[chunk.first : chunk.first + chunk.size]
    _gather(own if width == 1 else by_columns(own, width), chunk.steps, steps, y)


@kernel
def _gather(x, length, steps, y):
    for begin in range(0, steps, BLOCK):
        rows = y[begin * LANES : min(begin + BLOCK, steps) * LANES]
        for i in range(LANES):
            first = i * length + begin
            if rows.size == BLOCK * LANES and first + BLOCK <= x.size:
                row = x[first : first + BLOCK]
                for t in range(BLOCK):
                    rows[t * LANES + i] = row[t]
            else:
                for t in range(min(rows.size // LANES, x.size - first)):
                    rows[t * LANES + i] = x[first + t]


@kernel
def quantise(y, branches, inverse, cheap, rates, size, length, path, counts):
    """The integers of a traced path: 4 n + class into ``path``; ||y||^2, <y, n> and ||n||^2.

    All lanes have the same ``inverse`` step size. At odd states with b = 0 the integer may be 0,
    which it is where that costs less; ``rates`` are as in ``Search.run`` and ``cheap`` the weight
    of a squared error. ``counts`` (CLASSES x SYMBOLS) counts the symbols.
    """
    quarter, half, four = np.float32(0.25), np.float32(0.5), np.float32(4)
    energy, cross, own = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    few_energy, few_cross, few_own = np.empty((3, LANES), np.float32)
    steps = path.size // LANES
    for begin in range(0, steps, BLOCK):
        few_energy[:] = 0
        few_cross[:] = 0
        few_own[:] = 0
        odd = rates_at(rates, begin)[8 * LANES :]
        for t in range(begin, min(begin + BLOCK, steps)):
            at = t * LANES
            row, branch, out = y[at : at + LANES], branches[at : at + LANES], path[at : at + LANES]
            for i in range(LANES):
                v, packed = row[i] * inverse, np.int32(branch[i])
                r = np.float32(packed & np.int32(3))
                n = four * np.floor((v - r) * quarter + half) + r
                m, e = abs(n), v - n
                rate = odd[LANES + i] + m * (odd[2 * LANES + i] + m * odd[3 * LANES + i])
                none = e * e * cheap + rate > v * v * cheap + odd[i]
                n = np.float32(0) if (packed & np.int32(3)) == 1 and none else n
                few_energy[i] += row[i] * row[i]
                few_cross[i] += n * row[i]
                few_own[i] += n * n
                kind = (packed & np.int32(1)) + (packed >> np.int32(2))
                out[i] = (np.int32(n) << np.int32(2)) + kind
        for i in range(LANES):
            energy[i] += np.float64(few_energy[i])
            cross[i] += np.float64(few_cross[i])
            own[i] += np.float64(few_own[i])
    count_symbols(path, size, length, counts)
    return energy.sum(), cross.sum(), own.sum()


@register_jitable(forceinline=True)
def symbol_of(n):
    """0, -1, 1, -2, 2, ... of the levels +-1, +-2 ... of a state's parity; all large ones are 255.

    The integers +-1 and +-2 are levels +-1 of odd and of even states, +-3 and +-4 levels +-2.
    """
    level = (abs(n) + np.int32(1)) >> np.int32(1)
    return min(level + level - np.int32(n < 0), np.int32(ESCAPE))


@register_jitable(forceinline=True)
def key_of(packed):
    """Where a model has the symbol of 4 n + class: class SYMBOLS + symbol."""
    return np.uint32(((packed & np.int32(3)) << np.int32(8)) + symbol_of(packed >> np.int32(2)))


@kernel
def count_symbols(path, size, length, counts):
    """Add the symbols of the path of a chunk to ``counts``."""
    tally = np.zeros((4, CLASSES * SYMBOLS), np.int32)  # so that equal neighbours do not wait
    keys = np.empty(LANES, np.uint32)
    for t in range(path.size // LANES):
        row = path[t * LANES : (t + 1) * LANES]
        for i in range(LANES):
            keys[i] = key_of(row[i])
        lanes = min(LANES, -((t - size) // length))
        for i in range(lanes & ~3, lanes):
            tally[0, keys[i]] += 1
        for i in range(0, lanes & ~3, 4):
            tally[0, keys[i]] += 1
            tally[1, keys[i + 1]] += 1
            tally[2, keys[i + 2]] += 1
            tally[3, keys[i + 3]] += 1
    flat = counts.reshape(-1)
    for k in range(flat.size):
        flat[k] += np.int64(tally[0, k]) + tally[1, k] + tally[2, k] + tally[3, k]


@kernel
def scatter(block, begin, steps, length, scale, values):
    """values = scale n for n of some steps from ``begin`` on, in the order of x."""
    for i in range(LANES):
        first = i * length + begin
        if steps == BLOCK and first + BLOCK <= values.size:
            row = values[first : first + BLOCK]
            for t in range(BLOCK):
                row[t] = scale * np.float64(block[t * LANES + i])
        else:
            for t in range(min(steps, values.size - first)):
                values[first + t] = scale * np.float64(block[t * LANES + i])


@kernel
def _values(path, length, scale, values):
    """The same for a whole path."""
    block = np.empty(BLOCK * LANES, np.int32)
    steps = path.size // LANES
    for begin in range(0, steps, BLOCK):
        some = min(BLOCK, steps - begin)
        for k in range(some * LANES):
            block[k] = path[begin * LANES + k] >> np.int32(2)
        scatter(block, begin, some, length, scale, values)


def values_of(
    path: NDArray[np.int32], scale: float, chunk: Chunk, width: int, values: NDArray[Any]
) -> None:
    """Write what a chunk decodes to."""
    _values(path, chunk.steps, scale, values)
    if width > 1:
        values[:] = by_rows(values, width)
