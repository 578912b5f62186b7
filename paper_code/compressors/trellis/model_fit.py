"""The model of a path's levels that codes them in the fewest bits, found by a compiled search."""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import math

import numpy as np

from ...coding.alphabet import DIRECT, REACH, SYMBOLS, raw_bits, smallest
from ...coding.models import MOST_BITS, SCALES
from ...numerics.compiled import kernel

_FARTHEST = 4096  # the last point whose weight is not taken to be nothing


@kernel
def cheapest_point_model(histograms):
    """Scale, 1 if normal, and the factors of the zeros at state 0 and at the other even states.

    ``histograms`` (3 x SYMBOLS) count the levels of state 0, of the other even states, of odd ones.
    For a scale the best factors are known; along the scales the cost is followed downhill, by steps
    of 8, 4, 2 and 1. Weights are exp(-rho n^2) or exp(-rho |n|) in floats here, which the coder's
    integers equal but for rounding.
    """
    count, place, extra = np.empty((3, 3 * SYMBOLS))
    totals, zeros, used, moment = np.zeros(3), np.zeros(2), 0, 0.05
    for row in range(3):
        for s in range(SYMBOLS):
            seen = histograms[row, s]
            if not seen:
                continue
            totals[row] += seen
            if s == REACH and row < 2:
                zeros[row] += seen
                continue
            number = abs(s - REACH)
            bits = raw_bits(number)
            middle = smallest(number) + (0.5 if number >= DIRECT else 0.0) * (1 << bits)
            count[used], extra[used] = seen, bits
            place[used] = abs((2 * middle if s > REACH else -2 * middle) + row // 2)
            moment += seen * place[used] ** 2
            used += 1
    moment /= max(totals.sum(), 1.0)
    least, scale, normal, first, second = math.inf, 0, 0, 0, 0
    for kind in range(2):
        rho = 1 / (2 * moment) if kind else 1 / math.sqrt(moment)
        here = min(max(int(8 * (math.log2(rho) + 24)), 0), SCALES - 1)
        here_bits, f, g = _bits(here, kind, count, place, extra, used, totals, zeros)
        step = 8
        while step:
            moved = False
            for there in (here - step, here + step):
                if 0 <= there < SCALES and not moved:
                    bits, p, q = _bits(there, kind, count, place, extra, used, totals, zeros)
                    if bits < here_bits:
                        here, here_bits, f, g, moved = there, bits, p, q, True
            if not moved:
                step //= 2
        if here_bits < least:
            least, scale, normal, first, second = here_bits, here, kind, f, g
    return scale, normal, first, second


@kernel
def _bits(scale, normal, count, place, extra, used, totals, zeros):
    """Bits of all levels at their best factors of the zeros, and these."""
    rho = (8 + scale % 8) * 2.0 ** (scale // 8 - 27)
    bits = 0.0
    for i in range(used):
        exponent = rho * place[i] * (place[i] if normal else 1.0) / math.log(2.0)
        bits += count[i] * min(exponent - extra[i], MOST_BITS)
    sums = np.zeros(2)  # of the weights at even n > 0, and at odd ones
    q = math.exp(-rho)
    weight, ratio, square = 1.0, q, q * q if normal else 1.0
    for n in range(1, _FARTHEST):
        weight *= ratio
        ratio *= square
        if weight < 2.0**-31:
            break
        sums[n & 1] += weight
    bits += totals[2] * math.log2(2 * max(sums[1], 2.0**-32))
    factors = np.zeros(2, np.int64)
    for row in range(2):
        least = math.inf
        for code in range(8):
            factor = float((2 + code % 2) << code // 2) / 8
            own = totals[row] * math.log2(2 * sums[0] + factor) - zeros[row] * math.log2(factor)
            if own < least:
                least, factors[row] = own, code
        bits += least
    return bits, factors[0], factors[1]
