"""The map of cells as bits: each cell's model given the one before it, in the coder of the path.

How often one model follows another is told in half octaves, which costs a few bits in all.
"""

# ruff: noqa: ANN001, ANN201 - numba infers the types

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitReader, BitWriter
from ...coding.rans import PRECISION, SYMBOLS, pushed, refilled
from ...numerics.compiled import kernel

_SHARE_BITS = 5
_TOP = (1 << _SHARE_BITS) - 1
_WEIGHTS = np.array([math.isqrt(1 << code + 8) for code in range(_TOP + 1)])
"""16 times 2^(code / 2)."""


def write_changes(
    writer: BitWriter, maps: list[NDArray[np.uint8]], models: int
) -> NDArray[np.int64]:
    """Write how often each model follows each; the weights of a coder, models x SYMBOLS."""
    changes = np.zeros((models, models), np.int64)
    for cells in maps:
        np.add.at(changes, (np.append(0, cells.T.ravel()[:-1]), cells.T.ravel()), 1)
    weights = np.zeros((models, SYMBOLS), np.int64)
    for row, out in zip(changes.tolist(), weights, strict=True):
        for after, count in enumerate(row):
            octaves = math.log2(count / max(row)) if count else -math.inf
            code = max(_TOP + round(2 * octaves), 0) if count else 0
            writer.write_uint(code, _SHARE_BITS)
            out[after] = _WEIGHTS[code]
    return weights


def read_changes(reader: BitReader, models: int) -> NDArray[np.int64]:
    """What ``write_changes`` wrote."""
    weights = np.zeros((models, SYMBOLS), np.int64)
    codes = reader.read_uints(models * models, _SHARE_BITS).astype(np.int64)
    weights[:, :models] = _WEIGHTS[codes].reshape(models, models)
    return weights


@kernel
def write_map(cells, frequency, start, reciprocal, shift, words, at, states):
    """Write the map of a chunk, cells x LANES, before ``at``; returns where it begins.

    It must have room for a word a cell. The first model is taken to follow model 0.
    """
    chain, place, x = cells.T.copy().reshape(-1), np.uint64(at), states[0]
    for cell in range(chain.size - 1, -1, -1):
        row = chain[cell - 1] if cell else np.uint8(0)
        k = np.uint64(row) * np.uint64(SYMBOLS) + np.uint64(chain[cell])
        x, place = pushed(x, frequency[k], start[k], reciprocal[k], shift[k], words, place)
    states[0] = x
    return np.int64(place)


@kernel
def read_map(words, at, coder, frequency, start, symbol, cells):
    """Fill the map of a chunk; returns the place in ``words`` behind it.

    In damaged messages that is behind their end, which ``read_path`` tells.
    """
    chain = np.empty((cells.shape[1], cells.shape[0]), np.uint8)
    flat, x, place, end = chain.reshape(-1), coder[0], np.uint64(at), np.uint64(words.size - 1)
    row, mask = np.uint64(0), np.uint64((1 << PRECISION) - 1)
    for cell in range(flat.size):
        slot = x & mask
        model = np.uint64(symbol[(row << np.uint64(PRECISION)) + slot])
        k = row * np.uint64(SYMBOLS) + model
        x = np.uint64(frequency[k]) * (x >> np.uint64(PRECISION)) + slot - np.uint64(start[k])
        x, place = refilled(x, words, place, end)
        flat[cell], row = model, model
    coder[0] = x
    cells[:] = chain.T
    return np.int64(place)
