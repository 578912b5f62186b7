"""The random directions that Spherical Compression chooses from, numbered from 0 on.

Direction i of a message costs as much for every i. Drawing many in a row takes time, so where
thousands are needed they come from a pool that is drawn once a process, the same in all, and looks
new to every message because a fresh random rotation turns it; past its end draws are fresh. The law
of the first hit is then exact over seeds, approximate for one pool: its gaps are the same every
time.

Searching the pool waits for memory, so it is kept coarse, a byte a coordinate, and sorted in blocks
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
from ...numerics.random_rotation import HAAR_DIM, rotate, unrotate
from ...numerics.random_streams import Tag

_BATCH = 1 << 18  # coordinates of fresh directions that are drawn at a time

POOL_BYTES = 1 << 29
"""Most memory that the pools of all d take together, 512 MiB a process."""

_LARGEST_POOL = 1 << 24  # directions
_BLOCK = 1 << 20  # most directions that are sorted together
_FIRST = 1 << 14  # directions of the first block; the others double, for a hit may be near
_DRAWN = 1 << 13  # directions that are drawn at a time, in the nearer caches
_POOL_NONCE = 0  # the pool is the same for all processes and messages
_KEYED = 256  # directions that share a key, in the mean
_FINE, _COARSE = 240, 127  # steps of a coordinate of y and of a direction: <y, g> fits 16 bits
_WRONG_SIGN = 4e-6  # more than <g, y>^2 gains where a float32 gives a tiny g_i another sign
_LANES = 64  # directions of one tile: as many products as the widest registers hold


def can_pool(d: int) -> bool:
    """Whether vectors of d coordinates may take a pool: up to where rotations are uniform."""
    return d <= HAAR_DIM


def pool_size(d: int) -> int:
    """Number of directions in the pool of d coordinates. Part of the format."""
    return min(_LARGEST_POOL, 4 * POOL_BYTES // (5 * (d + 4))) // _BLOCK * _BLOCK


def direction(index: int, d: int, nonce: int, pooled: bool) -> NDArray[np.float64]:
    """Direction ``index`` of a message: uniform on the unit sphere, shape (d,).

    ``pooled`` messages take theirs from the turned pool as far as it reaches, at a cost of O(d^2);
    all others come from the stream of the message's nonce, at O(d). Neither draws the pool.
    """
    if pooled and index < pool_size(d):
        tag = Tag.POOLED_DIRECTIONS
        return unrotate(random_streams.directions(_POOL_NONCE, tag, index, 1, d)[:, 0], nonce)
    return random_streams.directions(nonce, Tag.DIRECTIONS, index, 1, d)[:, 0]


def near(
    unit: NDArray[np.float64], threshold: float, nonce: int, pooled: bool, stop: int
) -> Iterator[int]:
    """The indices below ``stop``, in order, of directions g that may have <g, unit> >= threshold.

    None that has is left out; a few fall short by the rounding that a fast search allows for.
    ``pooled`` messages have at most 64 coordinates and a threshold of at least 0.1.
    """
    start = 0
    if pooled:
        yield from _near_in_pool(rotate(unit, nonce), threshold, stop)
        start = pool_size(unit.size)
    yield from _near_fresh(unit, threshold, nonce, start, stop)


def _near_fresh(
    unit: NDArray[np.float64], threshold: float, nonce: int, start: int, stop: int
) -> Iterator[int]:
    d = unit.size
    narrow, largest = unit.astype(np.float32), max(1, _BATCH // d)
    margin = 1e-6 + d * 2.0**-23  # of the draws, and of sums of d terms in float32
    count = min(16, largest)  # short batches first: the hit may be near
    while start < stop:
        batch = random_streams.directions(
            nonce, Tag.DIRECTIONS, start, min(count, stop - start), d, fast=True
        )
        for lane in np.flatnonzero(narrow @ batch >= np.float32(threshold - margin)):
            yield start + int(lane)
        start += count
        count = min(2 * count, largest)


def _near_in_pool(y: NDArray[np.float64], threshold: float, stop: int) -> Iterator[int]:
    """``near`` for the pool as it was drawn, and ``y`` = the turned unit vector."""
    d, fine = y.size, np.rint(_FINE * y).astype(np.int16)
    rounded = fine / _FINE
    # |<rounded, coarse> - <y, g>|: half a coarse step for each coordinate, and what y was rounded
    margin = np.abs(rounded).sum() / (2 * _COARSE) + float(np.linalg.norm(rounded - y)) + 1e-6
    least = np.int16(math.floor((threshold - margin) * _FINE * _COARSE))
    lost, first, number = _lost(y), 0, 0
    while first < min(stop, pool_size(d)):
        block = _blocks.get(d, number)
        keys = np.flatnonzero(lost[block.signs] <= 1 - threshold**2 + _WRONG_SIGN)
        found = block.numbers[_search(block.tiles, block.starts, keys, fine, least)]
        for index in np.sort(found):
            if index < stop:
                yield int(index)
        first, number = first + block.size, number + 1


def _lost(y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """For 0, 1, 2, ... signs the sums of y_i^2 over those that differ from y's, for each key.

    Bit i of a key is set where g_i > 0.
    """
    lost = [np.zeros(1)]
    for coordinate in y[: (_BLOCK // _KEYED).bit_length()]:
        negative, positive = coordinate**2 * np.array([coordinate > 0, coordinate < 0])
        lost.append(np.concatenate([lost[-1] + negative, lost[-1] + positive]))
    return lost


class _Block(NamedTuple):
    """Directions as the columns of tiles, shape (tiles, d, 64), sorted by the key of their signs.

    Key k fills the tiles ``starts[k]`` to ``starts[k + 1]``, the last one up with zeros.
    ``numbers`` says for each column which direction of the pool it is.
    """

    size: int
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
    count = min(max(first, _FIRST), _BLOCK)
    signs = min(d, (count // _KEYED).bit_length() - 1)
    coarse, keys = np.empty((count, d), np.int8), np.empty(count, np.int16)
    for low in range(0, count, _DRAWN):
        drawn = random_streams.directions(
            _POOL_NONCE, Tag.POOLED_DIRECTIONS, first + low, _DRAWN, d, fast=True
        )
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
                held.append(_draw(d, sum(block.size for block in held)))
                if self.bytes > POOL_BYTES:
                    self._held = {d: held}  # those of other d can be drawn again
            return held[number]


_blocks = _Blocks()
