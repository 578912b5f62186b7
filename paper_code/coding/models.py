"""Parametric models of levels: normal or Laplace tails of any scale, told in 9 bits.

The weights are q**(n**2) or q**|n| in 31-bit fixed point, by integer products alone, so that they
are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..numerics.compiled import kernel
from .alphabet import REACH, smallest
from .bits import FormatError

SCALES = 216
"""q is from exp(-2**-24) to exp(-7.5), eight to an octave of its logarithm."""
_TAIL = 1 << 12  # points whose weight is computed; beyond, a symbol has weight 1
_UNIT = 1 << 31
SHAPE_BITS = 9
"""Bits of a shape = 2 scale + (1 if normal else 0)."""


def _ratio(scale: int) -> int:
    """q * 2**31 for q = (1 - (8 + s) 2**-27) ** (2**o), where s and o are digits of the scale."""
    q = _UNIT - (8 + scale % 8 << 4)
    for _ in range(scale // 8):
        q = q * q >> 31
    return q


@kernel
def _bell(q, normal, weights):  # noqa: ANN001, ANN202 - numba infers the types
    """weights[n] = q**(n**2) if normal, else q**n, until it is zero."""
    weight, step = np.uint64(1 << 31), np.uint64(q)
    square = step * step >> np.uint64(31)
    for n in range(weights.size):
        weights[n] = weight
        weight = weight * step >> np.uint64(31)
        if normal:
            step = step * square >> np.uint64(31)


def bell(shape: int, size: int) -> NDArray[np.int64]:
    """2^31 q^(n^2) or 2^31 q^n for 0 <= n < size. Raises FormatError where no model is so named."""
    scale, normal = shape >> 1, bool(shape & 1)
    if scale >= SCALES:
        raise FormatError(f"scale of a model is {scale}; allowed are 0 to {SCALES - 1}")
    half = np.zeros(size, np.int64)
    _bell(_ratio(scale), normal, half)
    return half


@lru_cache(maxsize=64)
def _sums(shape: int) -> NDArray[np.int64]:
    """sums[_TAIL + n]: weight of all points before n, for -_TAIL <= n <= _TAIL + 1."""
    half = bell(shape, _TAIL + 1)
    return np.concatenate([[0], np.cumsum(np.concatenate([half[:0:-1], half]))])


@lru_cache(maxsize=1)  # not at import: its kernel would have to be loaded there
def _starts() -> NDArray[np.int64]:
    """The level at which each symbol starts, and the end of the last."""
    up = np.array([smallest(number) for number in range(REACH + 2)], np.int64)
    return np.concatenate([1 - up[:0:-1], up[1:]])


def _by_symbol(
    sums: NDArray[np.int64], width: int, origins: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Weight of every symbol, at least 1, so that no level is beyond reach: one row an origin."""
    ends = np.minimum(np.maximum(_starts() * width + origins[:, None], 0), sums.size - 1)
    return np.maximum(np.diff(sums[ends]), 1)


def cells(shape: int, width: int, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weights where level k is the cell of points width * k + offset + (0, ..., width - 1).

    One row for each offset, one column for each symbol.
    """
    return _by_symbol(_sums(shape), width, _TAIL + offsets)


def points(shape: int, every: int, offset: int) -> NDArray[np.int64]:
    """Weights (of one row) where level k is the one point every * k + offset."""
    chosen = np.diff(_sums(shape))[(_TAIL + offset) % every :: every]
    sums = np.concatenate([[0], np.cumsum(chosen)])
    return _by_symbol(sums, 1, np.array([(_TAIL + offset) // every]))


def model_bits(histograms: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], float]:
    """Bits of symbols so distributed, as a function of a model's weights."""
    used = np.nonzero(histograms)  # few symbols are: only their shares are made
    seen = histograms[used]

    def bits(weights: NDArray[np.int64]) -> float:
        shares = weights[used] / np.maximum(weights.sum(axis=1), 1)[used[0]]
        return float(-(seen * np.log2(np.maximum(shares, 2.0**-24))).sum())

    return bits


def likely_scale(histograms: NDArray[np.int64], width: float) -> int:
    """The scale of a normal model with the second moment of these levels: where a search begins."""
    middles = (_starts()[1:] + _starts()[:-1] - 1) / 2.0
    total = max(int(histograms.sum()), 1)
    moment = width**2 * (float((histograms * middles**2).sum()) / total + 0.05)
    return min(max(round(8 * (23 - math.log2(moment))), 0), SCALES - 1)


def cheapest(
    cost: Callable[[Sequence[int]], float], sizes: Sequence[int], place: Sequence[int]
) -> list[int]:
    """A local minimum of ``cost`` over integers 0 <= place[i] < sizes[i], by halving steps."""
    place, step = list(place), 8
    best = cost(place)
    while step:
        moved = False
        for i, size in enumerate(sizes):
            for there in (place[i] - step, place[i] + step):
                trial = [*place[:i], there, *place[i + 1 :]]
                if 0 <= there < size and (value := cost(trial)) < best:
                    place, best, moved = trial, value, True
                    break
        if not moved:
            step //= 2
    return place


@dataclass(frozen=True)
class CellModels:
    """A ``ParametricFamily``: ``cells`` of so many points, one group for each offset."""

    points: int
    offsets: tuple[int, ...]
    width: ClassVar[int] = SHAPE_BITS

    def weights(self, shape: int) -> NDArray[np.int64]:
        """Weights of that shape, groups x symbols."""
        return cells(shape, self.points, np.array(self.offsets))

    def fit(self, histograms: NDArray[np.int64]) -> int:
        """The shape with the fewest bits, near the likely one."""
        bits = model_bits(histograms)
        scale, normal = cheapest(
            lambda place: bits(self.weights(2 * place[0] + place[1])),
            (SCALES, 2),
            (likely_scale(histograms, self.points), 1),
        )
        return 2 * scale + normal
