"""The random directions that Spherical Compression chooses from, numbered from 0 on.

Direction i of a message costs as much for every i. Drawing many in a row takes time, so where
thousands are needed they come from a pool that is drawn once a process, and looks new to every
message because a fresh random rotation turns it; past its end draws are fresh. The law of the
first hit is then exact over seeds, approximate for one pool: its gaps are the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...numerics import random_streams
from ...numerics.random_rotation import HAAR_DIM, rotate, unrotate
from . import pool

_FRESH = 1  # purpose in ``random_streams``
_BATCH = 1 << 18  # coordinates that are drawn at a time


def can_pool(d: int) -> bool:
    """Whether a pool can serve vectors of d coordinates: up to where rotations are uniform."""
    return d <= HAAR_DIM


def direction(index: int, d: int, nonce: int, pooled: bool) -> NDArray[np.float64]:
    """Direction ``index`` of a message: uniform on the unit sphere, shape (d,).

    ``pooled`` messages take theirs from the turned pool as far as it reaches, at a cost of O(d^2);
    all others come from the stream of the message's nonce, at O(d).
    """
    if pooled and index < pool.size(d):
        return unrotate(pool.direction(index, d), nonce)
    return random_streams.directions(nonce, _FRESH, index, 1, d)[:, 0]


def near(
    unit: NDArray[np.float64], threshold: float, nonce: int, pooled: bool, stop: int
) -> Iterator[int]:
    """The indices below ``stop``, in order, of directions g that may have <g, unit> >= threshold.

    None that has is left out; a few fall short by the rounding that a fast search allows for.
    """
    d = unit.size
    if pooled:
        yield from pool.near(rotate(unit, nonce), threshold, stop)
    start = pool.size(d) if pooled else 0
    narrow, largest = unit.astype(np.float32), max(1, _BATCH // d)
    margin = 1e-6 + d * 2.0**-23  # of the draws, and of sums of d terms in float32
    count = min(16, largest)  # short batches first: the hit may be near
    while start < stop:
        batch = random_streams.directions(
            nonce, _FRESH, start, min(count, stop - start), d, fast=True
        )
        for lane in np.flatnonzero(narrow @ batch >= np.float32(threshold - margin)):
            yield start + int(lane)
        start += count
        count = min(2 * count, largest)
