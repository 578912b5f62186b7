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

ONE = np.uint64(1)
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


@njit(cache=True)
def _largest(patterns, mask):
    largest = patterns[0] & mask
    for pattern in patterns:
        largest = max(largest, pattern & mask)
    return largest


def peak(x: NDArray[np.floating]) -> float:
    """max |x_i|, or NaN or infinity if there is one: |x| is ordered as its bit pattern is."""
    integer, magnitude = _PATTERN[x.itemsize]
    pattern = _largest(x.view(integer), magnitude)
    return float(integer(pattern).view(x.dtype))


@njit(cache=True)
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


@njit(cache=True)
def put(words, position, value, width):
    """Write the ``width`` (1 to 64) low bits of ``value`` at bit ``position``."""
    word, free = position >> 6, 64 - (position & 63)
    value = np.uint64(value)
    if width <= free:
        words[word] |= value << np.uint64(free - width)
    else:
        words[word] |= value >> np.uint64(width - free)
        words[word + 1] |= value << np.uint64(64 - width + free)


@njit(cache=True)
def get(words, position, width):
    """Read ``width`` (1 to 64) bits at bit ``position``."""
    word, offset = position >> 6, position & 63
    value = words[word] << np.uint64(offset)
    if offset + width > 64:
        value |= words[word + 1] >> np.uint64(64 - offset)
    return value >> np.uint64(64 - width)


@njit(cache=True)
def put_words(words, position, values, width):
    """Write the low ``width`` bits of every value, one after the other."""
    for value in values:
        put(words, position, value, width)
        position += width


@njit(cache=True)
def get_words(words, position, width, values):
    """Fill ``values`` with consecutive fields of ``width`` bits."""
    for i in range(values.size):
        values[i] = get(words, position, width)
        position += width


@njit(cache=True)
def put_mask(words, position, levels):
    """Write one bit a coordinate: is it non-zero?"""
    for start in range(0, levels.size, 64):
        width = min(64, levels.size - start)
        word = np.uint64(0)
        for level in levels[start : start + width]:
            word = (word << ONE) | np.uint64(level != 0)
        put(words, position, word, width)
        position += width


@njit(cache=True)
def get_mask(words, position, mask):
    """Fill the boolean ``mask`` from consecutive bits; return how many are set."""
    count = 0
    for i in range(mask.size):
        at = position + i
        bit = (words[at >> 6] >> np.uint64(63 - (at & 63))) & ONE
        mask[i] = bit != 0
        count += np.int64(bit)
    return count


@njit(cache=True)
def put_signs(words, position, levels):
    """Write one bit for each non-zero level: 1 for a negative one."""
    word, held = np.uint64(0), 0
    for level in levels:
        if level != 0:
            word = (word << ONE) | np.uint64(level < 0)
            held += 1
            if held == 64:
                put(words, position, word, 64)
                position += 64
                word, held = np.uint64(0), 0
    if held:
        put(words, position, word, held)
    return position + held


@njit(cache=True)
def put_unary(words, position, levels):
    """Write each non-zero |level| as |level| - 1 zeros and a one."""
    for level in levels:
        if level != 0:
            position += abs(np.int64(level))
            last = position - 1
            words[last >> 6] |= ONE << np.uint64(63 - (last & 63))
    return position


@njit(cache=True)
def get_unary(words, position, end, values):
    """Fill ``values`` with unary numbers; return the new position, or -1 if the bits run out."""
    count, start = 0, position
    if values.size == 0:
        return position
    at = position >> 6
    word = words[at] << np.uint64(position & 63) >> np.uint64(position & 63)
    while True:
        while word:
            zeros = leading_zeros(word)
            place = (at << 6) + np.int64(zeros)
            if place >= end:
                return -1
            values[count] = place + 1 - start
            start = place + 1
            count += 1
            if count == values.size:
                return start
            word ^= (ONE << np.uint64(63)) >> zeros
        at += 1
        if at << 6 >= end:
            return -1
        word = words[at]


@njit(cache=True)
def put_rice(words, position, values, parameter):
    """Golomb-Rice: value >> parameter zeros, a one, then the ``parameter`` low bits."""
    for value in values:
        position += np.int64(value >> np.uint64(parameter))
        words[position >> 6] |= ONE << np.uint64(63 - (position & 63))
        position += 1
        if parameter:
            low = value & ((ONE << np.uint64(parameter)) - ONE)
            put(words, position, low, parameter)
            position += parameter


@njit(cache=True)
def get_rice(words, position, end, parameter, values):
    """Fill ``values`` with Golomb-Rice numbers; the new position, or -1 if the bits run out."""
    quotient = np.empty(1, np.int64)
    for i in range(values.size):
        position = get_unary(words, position, end, quotient)
        if position < 0 or position + parameter > end:
            return -1
        if parameter and np.uint64(quotient[0] - 1) >> np.uint64(64 - parameter):
            return -1
        values[i] = np.uint64(quotient[0] - 1) << np.uint64(parameter)
        if parameter:
            values[i] |= get(words, position, parameter)
        position += parameter
    return position


@njit(cache=True)
def _times_over(number, size, factor, divisor):
    """number * factor / divisor (exact) in 32-bit limbs, in place; return the new size."""
    carry = np.uint64(0)
    factor, divisor = np.uint64(factor), np.uint64(divisor)
    for i in range(size):
        carry += np.uint64(number[i]) * factor
        number[i] = np.uint32(carry & LOW32)
        carry >>= np.uint64(32)
    if carry:
        number[size] = np.uint32(carry)
        size += 1
    rest = np.uint64(0)
    for i in range(size - 1, -1, -1):
        rest = (rest << np.uint64(32)) | np.uint64(number[i])
        number[i] = np.uint32(rest // divisor)
        rest %= divisor
    while size > 0 and number[size - 1] == 0:
        size -= 1
    return size


@njit(cache=True)
def rank_subset(mask, members, limbs):
    """Rank of a subset in the combinatorial number system: the sum of C(c_i, i).

    c_1 < c_2 < ... are its positions. ``limbs`` (32 bits each, least significant first) must be
    zero and hold C(d, n) with a limb to spare; it receives the rank.
    """
    binomial = np.zeros(limbs.size + 1, np.uint32)
    size, order = 0, 1  # binomial = C(j, order), of ``size`` limbs
    for j in range(mask.size):
        if order > members:
            break
        if mask[j]:
            carry = np.uint64(0)
            for i in range(limbs.size):
                if i >= size and carry == 0:
                    break
                carry += np.uint64(limbs[i]) + np.uint64(binomial[i])
                limbs[i] = np.uint32(carry & LOW32)
                carry >>= np.uint64(32)
            size = _times_over(binomial, size, j + 1, order + 1)
            order += 1
        elif size == 0:  # C(j, order) = 0 as long as all before were members: now C(j + 1, j + 1)
            binomial[0] = 1
            size = 1
        else:
            size = _times_over(binomial, size, j + 1, j + 1 - order)


@njit(cache=True)
def unrank_subset(limbs, binomial, members, mask):
    """Inverse of ``rank_subset``; ``binomial`` holds C(d - 1, members) and is used up.

    Returns whether the rank was one of a subset (``limbs`` are used up too).
    """
    size = binomial.size
    while size > 0 and binomial[size - 1] == 0:
        size -= 1
    for j in range(mask.size - 1, -1, -1):
        if members == 0:
            break
        larger = True  # is the rank at least C(j, members)?
        for i in range(limbs.size - 1, -1, -1):
            other = binomial[i] if i < size else np.uint32(0)
            if limbs[i] != other:
                larger = limbs[i] > other
                break
        if larger:
            mask[j] = True
            borrow = np.int64(0)
            for i in range(limbs.size):
                other = binomial[i] if i < size else np.uint32(0)
                borrow += np.int64(limbs[i]) - np.int64(other)
                limbs[i] = np.uint32(borrow & np.int64(0xFFFFFFFF))
                borrow >>= np.int64(32)
            if j:
                size = _times_over(binomial, size, members, j)
            members -= 1
        elif j:
            size = _times_over(binomial, size, j - members, j)
    return members == 0 and not np.any(limbs)
