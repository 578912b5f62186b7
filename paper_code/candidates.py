"""The random directions that Spherical Compression chooses from, numbered from 0 on.

Direction i of a message costs O(d) to regenerate, whatever i is. Many draws in a row are costly,
so where about a million are needed most of them come from a pool that is drawn once per process
and looks new to every message because a fresh random rotation turns it. The law of the first hit
is then exact over seeds, approximate for one pool: messages of one process share the pool's gaps.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import streams
from .rotation import HAAR_DIM, rotate, unrotate

POOL_BYTES = 1 << 29
"""Most memory that pools take, 512 MiB a process; it also says where the pool of d ends."""

_FRESH, _POOL = 1, 2  # purposes in ``streams``
_POOL_KEY = 0  # the nonce of the pool, which is the same everywhere
_SCALE = 32767  # the pool keeps each coordinate of a unit vector as round(32767 g), an int16
_BLOCK = 1 << 14  # directions that are drawn and searched at a time
_LANES = 256  # directions whose products are added up in the nearest cache


def pool_size(d: int) -> int:
    """Number of directions in the pool: what fits into 512 MiB. Part of the format."""
    return POOL_BYTES // (2 * d) // _BLOCK * _BLOCK


def can_pool(d: int) -> bool:
    """Whether a pool can serve vectors of d coordinates: up to where rotations are uniform."""
    return d <= HAAR_DIM


def direction(index: int, d: int, nonce: int, pooled: bool) -> NDArray[np.float64]:
    """Direction ``index`` of a message: uniform on the unit sphere, shape (d,), float64.

    ``pooled`` messages take theirs from the turned pool as far as it reaches, and every message
    takes all others from the stream of its own nonce.
    """
    if pooled and index < pool_size(d):
        return unrotate(_draw(_POOL_KEY, _POOL, index, 1, d)[:, 0], nonce)
    return _draw(nonce, _FRESH, index, 1, d)[:, 0]


def near(
    unit: NDArray[np.float64], threshold: float, nonce: int, pooled: bool, stop: int
) -> Iterator[int]:
    """The indices below ``stop``, in order, of directions g that may have <g, unit> >= threshold.

    None that has is left out; a few fall short by the rounding that a fast search allows for.
    """
    d, start = unit.size, 0
    margin = 1e-6 + d * 2.0**-23  # of the draws, and of sums of d terms in float32
    if pooled:
        start = min(pool_size(d), stop)
        turned = (rotate(unit, nonce) / _SCALE).astype(np.float32)
        coarse = threshold - margin - math.sqrt(d) / (2 * _SCALE)
        for first in range(0, start, _BLOCK):
            block = _pools.block(d, first // _BLOCK)
            yield from (first + lane for lane in _lanes(block, turned, coarse))
    largest = max(1, 16 * _BLOCK // d)
    count = min(16, largest)  # short batches first: the hit may be near
    while start < stop:
        block = _draw_to_search(nonce, _FRESH, start, count, d)
        narrow = unit.astype(np.float32)
        yield from (start + lane for lane in _lanes(block, narrow, threshold - margin))
        start += count
        count = min(2 * count, largest)


def _draw(
    nonce: int, purpose: int, start: int, count: int, d: int, dtype: type[np.floating] = np.float64
) -> NDArray[np.floating]:
    """Directions start, ..., start + count - 1 as columns: normals divided by their length.

    Each takes ceil(d / 2) words of the stream.
    """
    width = (d + 1) // 2
    raw = streams.words(nonce, purpose, start * width, count * width).reshape(count, width)
    normals = np.empty((2 * width, count), dtype)
    normals[0::2], normals[1::2] = streams.normal_pairs(np.ascontiguousarray(raw.T), dtype)
    normals = normals[:d]
    normals /= np.sqrt(np.einsum("ij,ij->j", normals, normals))
    return normals


def _draw_to_search(
    nonce: int, purpose: int, start: int, count: int, d: int
) -> NDArray[np.float32]:
    """The same within 1e-6, faster: from float32 normals where whole pairs are used.

    Half a pair may be so much shorter than the other half that float32 tells its sign only.
    """
    dtype = np.float64 if d % 2 else np.float32
    return _draw(nonce, purpose, start, count, d, dtype).astype(np.float32, copy=False)


def _lanes(block: NDArray, y: NDArray[np.float32], threshold: float) -> Iterator[int]:
    """The columns of ``block`` whose product with ``y`` reaches ``threshold``, in order."""
    lane = -1
    while (lane := _first_above(block, y, np.float32(threshold), lane + 1)) >= 0:
        yield lane


@njit(cache=True)
def _first_above(block, y, threshold, start):  # noqa: ANN001, ANN202 - numba infers the types
    products = np.empty(_LANES, np.float32)
    for low in range(start - start % _LANES, block.shape[1], _LANES):
        count = min(_LANES, block.shape[1] - low)
        products[:] = 0
        for i in range(y.size):
            row, weight = block[i, low : low + count], y[i]
            for lane in range(count):
                products[lane] += weight * np.float32(row[lane])
        hits = 0
        for lane in range(count):
            hits += products[lane] >= threshold
        if hits:
            for lane in range(max(start - low, 0), count):
                if products[lane] >= threshold:
                    return low + lane
    return -1


class _Pools:
    """The directions of the pool as far as they were needed, in blocks, for each d apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[int, list[NDArray[np.int16]]] = {}

    @property
    def bytes(self) -> int:
        """Memory that is held now."""
        return sum(2 * d * _BLOCK * len(blocks) for d, blocks in self._blocks.items())

    def block(self, d: int, number: int) -> NDArray[np.int16]:
        """Block ``number`` of the pool of d, shape (d, 2^14), drawn now if it is not there yet."""
        with self._lock:
            blocks = self._blocks.setdefault(d, [])
            while len(blocks) <= number:
                if self.bytes + 2 * d * _BLOCK > POOL_BYTES:
                    self._blocks = {d: blocks}  # other d can be drawn again
                drawn = _draw_to_search(_POOL_KEY, _POOL, len(blocks) * _BLOCK, _BLOCK, d)
                drawn *= _SCALE
                blocks.append(np.rint(drawn, out=drawn).astype(np.int16))
            return blocks[number]


_pools = _Pools()
