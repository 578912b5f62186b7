"""Models by cells: 64 neighbours on a lane share one of a few models, and a map says which.

A chunk is made of rows and columns that differ in scale, and one model for all of them costs what
they differ by. Models and map are found in turns, each the best for the other (k-means in bits);
the map is a Markov chain along the vector, and costs what its changes do.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...coding.rans import SYMBOLS
from ...numerics.compiled import kernel
from ...numerics.simd import LANES
from .models import search_rates
from .quantiser import Quantised
from .search import CELL
from .stretches import CLASSES, ESCAPE, Chunk, key_of

_FEW, _MANY = 3, 6  # models; three more take some 200 bits
_MANY_BITS = 1 << 15  # of one model, from which on they are worth it
_SIZES = 9  # bit lengths of a level, and an escape: what a cell is told by
_KINDS = CLASSES * _SIZES
_SIZE = np.array(
    [((s + 1) // 2).bit_length() if s < ESCAPE else _SIZES - 1 for s in range(SYMBOLS)]
)
_ROUNDS = 12
_SETTLED, _HOPELESS = 3e-4, 3e-3  # of the bits, that a round saves
_PRIOR, _LEAST_SHARE = 3, 1e-9  # symbols by which a model is like all of them
_CLEARLY = 0.99  # of the bits of one model


@dataclass(frozen=True)
class Cells:
    """The model of every cell of each chunk, cells x LANES, and the rates of each model."""

    maps: list[NDArray[np.uint8]]
    rates: NDArray[np.float32]


def no_cells(chunk: Chunk) -> NDArray[np.uint8]:
    """The map of a chunk that has one model."""
    return np.zeros((_cells(chunk), LANES), np.uint8)


def _cells(chunk: Chunk) -> int:
    return -(-chunk.steps // CELL)


def would_save(chunk: Chunk, path: Quantised) -> bool:
    """Whether several models take clearly fewer bits than one for the path of this chunk."""
    tally = _tally([chunk], [path])
    one = _bits_of_one(tally)
    _, bits = _grouped(tally, _FEW, one)
    return bits < _CLEARLY * one


def find(chunks: list[Chunk], paths: list[Quantised]) -> Cells:
    """The cells of these paths, with rates to search by once more."""
    tally = _tally(chunks, paths)
    chain, _ = _grouped(tally, _FEW if _bits_of_one(tally) < _MANY_BITS else _MANY)
    ends = np.cumsum([_cells(chunk) * LANES for chunk in chunks])
    maps = [np.ascontiguousarray(part.reshape(LANES, -1).T) for part in np.split(chain, ends[:-1])]
    counts = counted(chunks, paths, maps)
    total = counts.sum(axis=0)
    shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    zeros = bool(total[CLASSES - 1, 0])
    # ten times, as what is counted is whole
    likely = np.rint(10 * (counts + _PRIOR * shares)).astype(np.int64)
    return Cells(maps, np.array([search_rates(one, zeros) for one in likely]))


def counted(
    chunks: list[Chunk], paths: list[Quantised], maps: list[NDArray[np.uint8]]
) -> NDArray[np.int64]:
    """How often each model meets each symbol: models x CLASSES x SYMBOLS."""
    models = max(int(cells.max()) for cells in maps) + 1
    counts = np.zeros((models, CLASSES * SYMBOLS), np.int64)
    for chunk, one, cells in zip(chunks, paths, maps, strict=True):
        _count(one.path, chunk.size, chunk.steps, cells, counts)
    return counts.reshape(-1, CLASSES, SYMBOLS)


@kernel
def _count(path, size, length, cells, counts):
    for t in range(path.size // LANES):
        row, models = path[t * LANES : (t + 1) * LANES], cells[t // CELL]
        for i in range(min(LANES, -((t - size) // length))):
            counts[models[i], key_of(row[i])] += 1


def _tally(chunks: list[Chunk], paths: list[Quantised]) -> NDArray[np.uint8]:
    """How often each kind of symbol is in each cell, in the order of the vector."""
    tally = [np.zeros((LANES, _cells(chunk), _KINDS), np.uint8) for chunk in chunks]
    for chunk, one, mine in zip(chunks, paths, tally, strict=True):
        _count_kinds(one.path, chunk.size, chunk.steps, _SIZE, mine)
    return np.concatenate([mine.reshape(-1, _KINDS) for mine in tally])


@kernel
def _count_kinds(path, size, length, sizes, tally):
    for t in range(path.size // LANES):
        for i in range(min(LANES, -((t - size) // length))):
            key = key_of(path[t * LANES + i])
            tally[i, t // CELL, key // SYMBOLS * _SIZES + sizes[key % SYMBOLS]] += 1


def _bits_of_one(tally: NDArray[np.uint8]) -> float:
    """Bits of all cells by one model."""
    total = _totals(tally, np.zeros(len(tally), np.uint8), 1)
    return float(np.sum(total * _costs(total)))


def _grouped(
    tally: NDArray[np.uint8], models: int, enough: float = math.inf
) -> tuple[NDArray[np.uint8], float]:
    """The model of each cell, and the bits of all; above ``enough`` it soon gives up."""
    chain, changes, bits = _by_size(tally, models), np.ones((models, models)), math.inf
    for _ in range(_ROUNDS):
        costs = _costs(_totals(tally, chain, models))
        before, bits = bits, _best_chain(tally, costs, changes, chain)
        if before - bits < (_SETTLED if bits < enough else _HOPELESS) * bits:
            break
    _, used = np.unique(chain, return_inverse=True)  # without models that no cell has
    return used.astype(np.uint8), bits


def _by_size(tally: NDArray[np.uint8], models: int) -> NDArray[np.uint8]:
    """Cells in the order of how large their levels are, each model with about as much in all."""
    size = _levels_of(tally)
    order = np.argsort(size, kind="stable")
    before = np.cumsum(size[order]) - 1
    chain = np.empty(size.size, np.uint8)
    chain[order] = before * models // (before[-1] + 1)
    return chain


@kernel
def _levels_of(tally):
    """One more than the bit lengths of a cell's levels."""
    size = np.ones(tally.shape[0], np.int64)
    for cell in range(size.size):
        for kind in range(_KINDS):
            size[cell] += np.int64(tally[cell, kind]) * (kind % _SIZES)
    return size


@kernel
def _totals(tally, chain, models):
    """How often each kind is in the cells of each model, kinds x models."""
    totals = np.zeros((_KINDS, models), np.int64)
    for cell in range(chain.size):
        for kind in range(_KINDS):
            totals[kind, chain[cell]] += tally[cell, kind]
    return totals


@kernel
def _costs(totals):
    """Bits of each kind by models that have seen so many, and a few of what all have seen."""
    costs, everything = np.empty(totals.shape), totals.sum()
    for first in range(0, _KINDS, _SIZES):
        for model in range(totals.shape[1]):
            whole = 0.0
            for kind in range(first, first + _SIZES):
                seen = totals[kind, model] + _PRIOR * totals[kind].sum() / everything
                costs[kind, model] = seen
                whole += seen
            for kind in range(first, first + _SIZES):
                share = costs[kind, model] / whole if whole > 0 else 1.0
                costs[kind, model] = -np.log2(max(share, _LEAST_SHARE))
    return costs


@kernel
def _best_chain(tally, costs, changes, chain):
    """The models of fewest bits, by Viterbi's algorithm, and their bits, about, with the map's.

    ``changes`` are how often one model has followed another, and then how often it does.
    """
    models = costs.shape[1]
    follows = np.empty((models, models))
    for model in range(models):
        for after in range(models):
            follows[model, after] = -np.log2(changes[model, after] / changes[model].sum())
    bits, now = np.zeros(models), np.empty(models)
    came = np.empty((chain.size, models), np.uint8)
    for cell in range(chain.size):
        for after in range(models):
            best, least = 0, bits[0] + follows[0, after]
            for model in range(1, models):
                if bits[model] + follows[model, after] < least:
                    best, least = model, bits[model] + follows[model, after]
            came[cell, after], now[after] = best, least
        for kind in range(_KINDS):
            count = tally[cell, kind]
            if count:  # most are 0
                for each in range(models):
                    now[each] += count * costs[kind, each]
        bits[:] = now
    changes[:] = 0.5  # so that none is impossible
    taken = np.uint8(bits.argmin())
    for cell in range(chain.size - 1, -1, -1):
        chain[cell], before = taken, came[cell, taken]
        changes[before, taken] += 1
        taken = before
    return bits.min()
