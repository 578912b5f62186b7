"""Parametric models of levels: normal or Laplace tails of any scale, told in 9 bits.

The weights are q**(n**2) or q**|n| in 31-bit fixed point, by integer products alone, so that they
are the same on every machine.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..numerics.compiled import kernel
from .alphabet import REACH, SYMBOLS, smallest
from .bits import FormatError

SCALES = 216
"""q is from exp(-2**-24) to exp(-7.5), eight to an octave of its logarithm."""
_TAIL = 1 << 12  # points whose weight is computed; beyond, a symbol has weight 1
_UNIT = 1 << 31
SHAPE_BITS = 9
"""Bits of a shape = 2 scale + (1 if normal else 0)."""
MOST_BITS = 24
"""Of a symbol: the coder's precision."""


@kernel
def _bell(shape, weights):
    """weights[n] = 2^31 q^(n^2) if normal, else 2^31 q^n, until it is zero; returns that n.

    q = (1 - (8 + s) 2^-27)^(2^o), where s and o are digits of the scale, to base 8.
    """
    scale, normal, places = shape >> 1, shape & 1, np.uint64(31)
    step = np.uint64(_UNIT - ((8 + scale % 8) << 4))
    for _ in range(scale // 8):
        step = step * step >> places
    weight, square = np.uint64(_UNIT), step * step >> places
    for n in range(weights.size):
        weights[n] = weight
        if not weight:
            return n
        weight = weight * step >> places
        if normal:
            step = step * square >> places
    return weights.size


def bell(shape: int, size: int) -> NDArray[np.int64]:
    """2^31 q^(n^2) or 2^31 q^n for 0 <= n < size. Raises FormatError where no model is so named."""
    half = np.zeros(size, np.int64)
    _bell(_checked(shape), half)
    return half


def _checked(shape: int) -> int:
    if shape >> 1 >= SCALES:
        raise FormatError(f"scale of a model is {shape >> 1}; allowed are 0 to {SCALES - 1}")
    return shape


@kernel
def _first_level(symbol):
    """The least level of a symbol; that of the next symbol ends it."""
    return smallest(symbol - REACH) if symbol >= REACH else 1 - smallest(REACH - symbol + 1)


@kernel
def _weigh(shape, every, width, offsets, weights):
    """Weight of every symbol, at least 1, so that no level is beyond reach: one row an offset.

    Level k has the points every * k + offset + (0, ..., width - 1).
    """
    half = np.empty(_TAIL + 1, np.int64)
    reach = _bell(shape, half)
    for row, offset in enumerate(offsets):
        low, high = (-reach - offset - width) // every, (reach - offset) // every + 1
        for symbol in range(SYMBOLS):
            weight = 0
            for k in range(max(_first_level(symbol), low), min(_first_level(symbol + 1), high)):
                for point in range(every * k + offset, every * k + offset + width):
                    if abs(point) < reach:
                        weight += half[abs(point)]
            weights[row, symbol] = max(weight, 1)


def cells(shape: int, width: int, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weights where level k is the cell of points width * k + offset + (0, ..., width - 1).

    One row for each offset, one column for each symbol.
    """
    weights = np.empty((offsets.size, SYMBOLS), np.int64)
    _weigh(_checked(shape), width, width, offsets, weights)
    return weights


def points(shape: int, every: int, offset: int) -> NDArray[np.int64]:
    """Weights (of one row) where level k is the one point every * k + offset."""
    weights = np.empty((1, SYMBOLS), np.int64)
    _weigh(_checked(shape), every, 1, np.array([offset]), weights)
    return weights


@kernel
def model_bits(histograms, weights):
    """Bits of symbols so distributed under a model's weights, at most MOST_BITS each."""
    bits = 0.0
    for row in range(histograms.shape[0]):
        total = max(weights[row].sum(), 1)
        for symbol in range(SYMBOLS):
            if histograms[row, symbol]:
                share = max(weights[row, symbol] / total, 2.0**-MOST_BITS)
                bits -= histograms[row, symbol] * math.log2(share)
    return bits


@kernel
def likely_scale(histograms, width):
    """The scale of a normal model with the second moment of these levels: where a search begins."""
    moment, total = 0.0, max(histograms.sum(), 1)
    for symbol in range(SYMBOLS):
        middle = (_first_level(symbol + 1) + _first_level(symbol) - 1) / 2
        moment += histograms[:, symbol].sum() * middle**2
    moment = width**2 * (moment / total + 0.05)
    return min(max(int(np.rint(8 * (23 - math.log2(moment)))), 0), SCALES - 1)


@register_jitable  # for kernels and for Python
def cheapest_shape(cost, given, scale):
    """A local minimum of cost(shape, given) from normal tails of that scale, by halving steps."""
    shape, step = 2 * scale + 1, 8
    best = cost(shape, given)
    while step:
        before = best
        for there in (shape - 2 * step, shape + 2 * step):
            if best == before and 0 <= there < 2 * SCALES:
                bits = cost(there, given)
                if bits < best:
                    shape, best = there, bits
        if step == 1:
            bits = cost(shape ^ 1, given)
            if bits < best:
                shape, best = shape ^ 1, bits
        if best == before:
            step //= 2
    return shape


@register_jitable
def _cell_bits(shape, given):
    histograms, width, offsets, weights = given
    _weigh(shape, width, width, offsets, weights)
    return model_bits(histograms, weights)


@kernel
def _cheapest_cells(histograms, width, offsets):
    given = histograms, width, offsets, np.empty(histograms.shape, np.int64)
    return cheapest_shape(_cell_bits, given, likely_scale(histograms, width))


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
        return int(_cheapest_cells(histograms, self.points, np.array(self.offsets)))
