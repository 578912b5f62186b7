"""A step for every chunk of a vector: the search of ``step_search``, compiled for many at once."""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from ..numerics.compiled import kernel
from .step_search import LARGEST_LEVEL, SUMS, add_distance, finer_search
from .step_search import multiply as multiply_one


@kernel
def round_to_levels(x, inverse, levels):
    """Fill the levels k; return <x, k> and ||k||^2, always added in the same order."""
    inner, squared = np.zeros(SUMS), np.zeros(SUMS)
    whole = x.size - x.size % SUMS
    for start in range(0, whole, SUMS):
        for j in range(SUMS):
            value = np.float64(x[start + j])
            level = np.rint(value * inverse)
            levels[start + j] = np.int32(level)
            inner[j] += level * value
            squared[j] += level * level
    for i in range(whole, x.size):
        level = np.rint(x[i] * inverse)
        levels[i] = np.int32(level)
        inner[0] += level * x[i]
        squared[0] += level * level
    return inner.sum(), squared.sum()


@kernel
def energies(x, size):
    """||chunk||^2 of every chunk of so many coordinates."""
    sums, nothing = np.empty((x.size + size - 1) // size), np.zeros(size, x.dtype)
    for i in range(sums.size):
        part, lanes = x[i * size : (i + 1) * size], np.zeros(SUMS)
        add_distance(nothing, part, lanes)
        sums[i] = lanes.sum()
    return sums


@register_jitable  # for kernels and for Python
def scale_and_distance(inner, squared, energy, bits):
    """The scale, of 8 bits of exponent and bits - 8 of mantissa, nearest to inner / squared.

    And ||x - scale k||^2, where <x, k> = inner, ||k||^2 = squared and ||x||^2 = energy. That of 31
    bits, a float32, counts as exact: frames are written so, and ``meet`` measures what is held.
    """
    if squared == 0:
        return 0.0, energy
    best, left = inner / squared, energy - inner * inner / squared
    mantissa, exponent = math.frexp(best)
    places = bits - 7
    scale = math.ldexp(np.rint(math.ldexp(mantissa, places)), exponent - places)
    return scale, left if bits == 31 else left + squared * (scale - best) ** 2


@register_jitable
def _error(given, step):
    x, peak, energy, bits, levels = given
    if peak >= LARGEST_LEVEL * step:
        return 0.0  # the step is not used
    inner, squared = round_to_levels(x, 1 / step, levels)
    return scale_and_distance(inner, squared, energy, bits)[1] / energy


@kernel
def settle(x, size, energies, alpha, bits, levels, scales):
    """Fill in levels and scale of every chunk whose scale is NaN, at the coarsest step found.

    Its error is at most alpha, measured on values rounded to the type of x; where no step is found
    the scale stays NaN.
    """
    held = np.empty(size, x.dtype)
    for i in range(scales.size):
        if not np.isnan(scales[i]):
            continue
        part, own = x[i * size : (i + 1) * size], levels[i * size : (i + 1) * size]
        peak = np.float64(np.abs(part).max())
        given = (part, peak, energies[i], bits, own)
        start = min(math.sqrt(12 * alpha / part.size * energies[i]), 2 * peak)
        step = finer_search(_error, given, alpha, start)
        if step == 0 or peak >= LARGEST_LEVEL * step:
            continue
        inner, squared = round_to_levels(part, 1 / step, own)
        scale, lanes = scale_and_distance(inner, squared, energies[i], bits)[0], np.zeros(SUMS)
        multiply_one(own, scale, held)
        add_distance(held, part, lanes)
        if lanes.sum() <= alpha * energies[i]:
            scales[i] = scale


@kernel
def multiply(levels, scales, size, values):
    """Fill ``values`` with each chunk's scale times its levels."""
    for i in range(scales.size):
        part = slice(i * size, (i + 1) * size)
        multiply_one(levels[part], np.float64(scales[i]), values[part])
