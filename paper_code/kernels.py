"""The loops behind the bit codes, compiled by numba and cached on disk.

A bit stream is an array of 64-bit words, first bit in the most significant place. The writers
only set bits: the words that they are given must be zero from ``position`` on.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ANN401 - numba infers the types

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from . import compiling  # noqa: F401 - says on screen when it happens

kernel = njit(cache=True, nogil=True)
"""Compiled once for a machine; other threads run meanwhile, each with its own message."""

ONE = np.uint64(1)
TOP = np.uint64(1 << 63)
LOW32 = np.uint64(0xFFFFFFFF)
BLOCK = 1 << 16
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
    pattern = _largest(x.view(integer), magnitude)
    return float(integer(pattern).view(x.dtype))


@kernel
def sum_of_squares(x):
    """||x||^2 in float64, always added in the same order: eight lanes, in blocks.

    The fixed order makes a message the same on any number of threads and any vector width.
    """
    total = 0.0
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        a = b = c = d = e = f = g = h = 0.0
        whole = block.size & ~7
        for i in range(0, whole, 8):
            a += np.float64(block[i]) * np.float64(block[i])
            b += np.float64(block[i + 1]) * np.float64(block[i + 1])
            c += np.float64(block[i + 2]) * np.float64(block[i + 2])
            d += np.float64(block[i + 3]) * np.float64(block[i + 3])
            e += np.float64(block[i + 4]) * np.float64(block[i + 4])
            f += np.float64(block[i + 5]) * np.float64(block[i + 5])
            g += np.float64(block[i + 6]) * np.float64(block[i + 6])
            h += np.float64(block[i + 7]) * np.float64(block[i + 7])
        for i in range(whole, block.size):
            a += np.float64(block[i]) * np.float64(block[i])
        total += ((a + b) + (c + d)) + ((e + f) + (g + h))
    return total


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
