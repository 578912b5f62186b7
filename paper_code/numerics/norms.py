"""Largest magnitude and sum of squares, the same for any width of vector instructions."""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel

TREE = 1 << 12
"""Coordinates whose squares are added in one tree."""

_PATTERN: dict[int, tuple[type[np.signedinteger], np.signedinteger]] = {
    2: (np.int16, np.int16(2**15 - 1)),
    4: (np.int32, np.int32(2**31 - 1)),
    8: (np.int64, np.int64(2**63 - 1)),
}
"""By bytes of a float: the integer of that size, and the bits that hold the magnitude."""


@kernel
def _largest(patterns, mask):
    largest = np.int64(0)
    for i in range(patterns.size):  # this form becomes vector instructions, and max() does not
        pattern = patterns[i] & mask
        if pattern > largest:
            largest = pattern
    return largest


def peak(x: NDArray[np.floating]) -> float:
    """max |x_i|, or NaN or infinity if there is one: |x| is ordered as its bit pattern is."""
    integer, magnitude = _PATTERN[x.itemsize]
    return float(integer(_largest(x.view(integer), magnitude)).view(x.dtype))


@kernel
def _tree_sums(x):
    """The sum of squares of every TREE coordinates, halves added to halves; zeros fill it up."""
    parts, sums = np.empty(TREE // 2), np.empty((x.size + TREE - 1) // TREE)
    for tree in range(sums.size):
        block = x[tree * TREE : (tree + 1) * TREE]
        width = TREE // 2
        while width >= max(2, block.size):
            width //= 2
        for i in range(min(width, block.size)):
            parts[i] = np.float64(block[i]) * np.float64(block[i])
        for i in range(block.size - width):
            parts[i] += np.float64(block[width + i]) * np.float64(block[width + i])
        while width > 1:
            width //= 2
            for i in range(width):
                parts[i] += parts[width + i]
        sums[tree] = parts[0]
    return sums


def sum_of_squares(x: NDArray[np.floating]) -> float:
    """||x||^2 in float64, always added in the same order: binary trees, and their exact sum.

    The fixed order makes a message the same on every machine.
    """
    return math.fsum(_tree_sums(x))
