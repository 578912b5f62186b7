"""The loops behind the bit codes, compiled by numba and cached on disk.

A bit stream is an array of 64-bit words, first bit in the most significant place. The writers
only set bits: the words that they are given must be zero from ``position`` on.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ANN401 - numba infers the types

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from . import threads
from .compiling import kernel

ONE = np.uint64(1)
TOP = np.uint64(1 << 63)
LOW32 = np.uint64(0xFFFFFFFF)
BLOCK = 1 << 16
TREE = 1 << 12
"""Coordinates whose squares are added in one tree; a chunk is whole trees."""

_PATTERN = {
    2: (np.int16, np.int16(2**15 - 1)),
    4: (np.int32, np.int32(2**31 - 1)),
    8: (np.int64, np.int64(2**63 - 1)),
}
"""By bytes of a float: the integer of that size, and the bits that hold the magnitude."""


@intrinsic
def leading_zeros(typing_context: Any, word: Any) -> Any:
    """Number of leading zero bits of a uint64 (64 for zero): numba has no such function."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def ones(typing_context: Any, word: Any) -> Any:
    """Number of set bits of a uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@intrinsic
def high_product(typing_context: Any, first: Any, second: Any) -> Any:
    """The upper 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(arg, wide) for arg in args))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


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
    pattern = max(threads.each(lambda part: _largest(part, magnitude), x.view(integer)))
    return float(integer(pattern).view(x.dtype))


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

    The fixed order makes a message the same on any number of threads, any vector width, and a GPU.
    """
    return math.fsum(chain.from_iterable(threads.each(_tree_sums, x)))


@kernel
def put(words, position, value, width):
    """Write the ``width`` (1 to 64) low bits of ``value`` at bit ``position``."""
    word, free = position >> 6, 64 - (position & 63)
    value = np.uint64(value)
    if width <= free:
        words[word] |= value << np.uint64(free - width)
    else:
        words[word] |= value >> np.uint64(width - free)
        words[word + 1] |= value << np.uint64(64 - width + free)


@kernel
def get(words, position, width):
    """Read ``width`` (1 to 64) bits at bit ``position``; the word after the one there must exist.

    Without a branch: whether a field goes on in the next word cannot be predicted.
    """
    word, offset = position >> 6, np.uint64(position & 63)
    value = (words[word] << offset) | (words[word + 1] >> ONE >> (np.uint64(63) - offset))
    return value >> np.uint64(64 - width)


@kernel
def put_words(words, position, values, width):
    """Write the low ``width`` bits of every value, one after the other; higher ones must be 0."""
    at, used, word = position >> 6, position & 63, np.uint64(0)
    for value in values:
        used += width
        if used > 64:
            used -= 64
            words[at] |= word | np.uint64(value) >> ONE >> np.uint64(used - 1)
            at += 1
            word = np.uint64(0)
        word |= np.uint64(value) << np.uint64(64 - used)
    words[at] |= word


@kernel
def get_words(words, position, width, values):
    """Fill ``values`` with consecutive fields of ``width`` bits."""
    for i in range(values.size):
        values[i] = get(words, position, width)
        position += width
