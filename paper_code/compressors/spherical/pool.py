"""A pool of random directions: drawn once a process, the same in all, searched for every message.

The search waits for memory, so the pool is kept coarse, a byte a coordinate, and sorted in blocks
by the signs of the first coordinates: a unit vector g whose sign differs from y's on a set S has
<g, y>^2 <= 1 - sum over S of y_i^2, and nine in ten combinations of signs need not be looked at.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...numerics import random_streams
from ...numerics.compiled import kernel

BYTES = 1 << 29
"""Most memory that pools take together, 512 MiB a process."""

LARGEST = 1 << 24
"""Most directions that one pool has."""

BLOCK = 1 << 20  # most directions that are sorted together
_FIRST = 1 << 14  # directions of the first block; the others double, for a hit may be near
_DRAWN = 1 << 13  # directions that are drawn at a time, in the nearer caches
_KEY, _PURPOSE = 0, 2  # of the pool's stream, for all processes and messages
_KEYED = 256  # directions that share a key, in the mean
_FINE, _COARSE = 240, 127  # steps of a coordinate of y and of a direction: <y, g> fits 16 bits
_WRONG_SIGN = 4e-6  # more than <g, y>^2 gains where a float32 gives a tiny g_i another sign
_LANES = 64  # directions of one tile: as many products as the widest registers hold


def size(d: int) -> int:
    """Number of directions in the pool of d coordinates. Part of the format."""
    return min(LARGEST, 4 * BYTES // (5 * (d + 4))) // BLOCK * BLOCK


def direction(index: int, d: int) -> NDArray[np.float64]:
    """Direction ``index`` of the pool, shape (d,), without the pool."""
    return random_streams.directions(_KEY, _PURPOSE, index, 1, d)[:, 0]


def near(y: NDArray[np.float64], threshold: float, stop: int) -> Iterator[int]:
    """The indices below ``stop``, in order, of directions g that may have <g, y> >= threshold.

    None that has is left out; others fall short by what the bytes round. ``y`` is a unit vector of
    at most 64 coordinates, and ``threshold`` at least 0.1.
    """
    d, fine = y.size, np.rint(_FINE * y).astype(np.int16)
    rounded = fine / _FINE
    # |<rounded, coarse> - <y, g>|: half a coarse step for each coordinate, and what y was rounded
    margin = np.abs(rounded).sum() / (2 * _COARSE) + float(np.linalg.norm(rounded - y)) + 1e-6
    least = np.int16(math.floor((threshold - margin) * _FINE * _COARSE))
    lost, first, number = _lost(y), 0, 0
    while first < min(stop, size(d)):
        block = blocks.get(d, number)
        keys = np.flatnonzero(lost[block.signs] <= 1 - threshold**2 + _WRONG_SIGN)
        found = block.numbers[_search(block.tiles, block.starts, keys, fine, least)]
        for index in np.sort(found):
            if index < stop:
                yield int(index)
        first, number = first + block.count, number + 1


def _lost(y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """For 0, 1, 2, ... signs the sums of y_i^2 over those that differ from y's, for each key.

    Bit i of a key is set where g_i > 0.
    """
    lost = [np.zeros(1)]
    for coordinate in y[: (BLOCK // _KEYED).bit_length()]:
        negative, positive = coordinate**2 * np.array([coordinate > 0, coordinate < 0])
        lost.append(np.concatenate([lost[-1] + negative, lost[-1] + positive]))
    return lost


class _Block(NamedTuple):
    """Directions as the columns of tiles, shape (tiles, d, 64), sorted by the key of their signs.

    Key k fills the tiles ``starts[k]`` to ``starts[k + 1]``, the last one up with zeros.
    ``numbers`` says for each column which direction of the pool it is.
    """

    count: int
    signs: int
    tiles: NDArray[np.int8]
    starts: NDArray[np.int64]
    numbers: NDArray[np.int32]

    @property
    def bytes(self) -> int:
        """Memory, but for the small ``starts``."""
        return self.tiles.nbytes + self.numbers.nbytes


def _draw(d: int, first: int) -> _Block:
    """The block that begins with direction ``first``."""
    count = min(max(first, _FIRST), BLOCK)
    signs = min(d, (count // _KEYED).bit_length() - 1)
    coarse, keys = np.empty((count, d), np.int8), np.empty(count, np.int16)
    for low in range(0, count, _DRAWN):
        drawn = random_streams.directions(_KEY, _PURPOSE, first + low, _DRAWN, d, fast=True)
        keys[low : low + _DRAWN] = (1 << np.arange(signs)) @ (drawn[:signs] > 0)
        coarse[low : low + _DRAWN] = np.rint(_COARSE * drawn).T
    return _sorted(coarse, keys, first, signs)


def _sorted(coarse: NDArray[np.int8], keys: NDArray[np.int16], first: int, signs: int) -> _Block:
    count, d = coarse.shape
    order = np.argsort(keys, kind="stable")
    members = np.bincount(keys, minlength=1 << signs)
    starts = np.concatenate([[0], np.cumsum(-(-members // _LANES))])
    filled_up = _LANES * starts[:-1] - (np.cumsum(members) - members)
    columns = np.arange(count) + np.repeat(filled_up, members)
    rows = np.zeros((starts[-1] * _LANES, d), np.int8)
    rows[columns] = coarse[order]
    tiles = np.ascontiguousarray(rows.reshape(-1, _LANES, d).transpose(0, 2, 1))
    numbers = np.zeros(len(rows), np.int32)
    numbers[columns] = first + order
    return _Block(count, signs, tiles, starts, numbers)


@kernel
def _search(tiles, starts, keys, fine, least):  # noqa: ANN001, ANN202 - numba infers the types
    """The columns with a key in ``keys`` whose product with ``fine`` is at least ``least`` > 0."""
    products = np.empty(_LANES, np.int16)
    found = []
    for key in keys:
        for t in range(starts[key], starts[key + 1]):
            products[:] = 0
            for i in range(fine.size):
                for lane in range(_LANES):
                    products[lane] += np.int16(fine[i] * np.int16(tiles[t, i, lane]))
            best = np.int16(0)
            for lane in range(_LANES):
                best = max(best, products[lane])
            if best >= least:
                for lane in range(_LANES):
                    if products[lane] >= least:
                        found.append(t * _LANES + lane)
    return np.array(found, np.int64)


class _Blocks:
    """The blocks that were needed until now, for each d apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, list[_Block]] = {}

    @property
    def bytes(self) -> int:
        """Memory that is held now."""
        return sum(block.bytes for held in self._held.values() for block in held)

    def get(self, d: int, number: int) -> _Block:
        """Block ``number`` of the pool of d, drawn now if it is not there yet."""
        with self._lock:
            held = self._held.setdefault(d, [])
            while len(held) <= number:
                held.append(_draw(d, sum(block.count for block in held)))
                if self.bytes > BYTES:
                    self._held = {d: held}  # those of other d can be drawn again
            return held[number]


blocks = _Blocks()
