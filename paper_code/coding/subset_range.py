"""The subset code in linear time: a range coder whose probabilities are exact counts.

A coordinate is a member with probability (members left) / (coordinates left), so that every subset
gets an interval of 1 / C(d, members), but for rounding; the code is the first number of L bits in
it. The coder keeps ``width`` at 2^48 at least, in units of the last place:

* A member's part is rounded down, by less than one unit and by 2^-50 of it, and the rest of the
  interval goes to the other part. All the roundings of a message take less than
  d (1 + ln d) 2^-48 + members 2^-50 < 2^-31 of the interval, and widen it by no more (d <= 10 000).
* An interval of 2^-L holds a multiple of 2^-L. So L = ceil(log2 C) bits are enough wherever
  C (1 + 2^-30) <= 2^L: ``length`` tells where they are, from integers alone.

After Martin 1979 (range encoding); exact counts: Cover 1973 (enumerative source encoding).
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..numerics.compiled import ONE, kernel
from .words import high_product

LARGEST_DIM = 10_000
"""Up to this many coordinates (10 000) the roundings are bounded."""

_LEAST = np.uint64(1 << 48)
_LAST = np.uint64(0xFFFF)


@cache
def inverses() -> NDArray[np.uint64]:
    """2^64 / k, rounded down, for k = 1, ..., 10 000: a count times it is a probability."""
    table = np.zeros(LARGEST_DIM + 1, np.uint64)
    table[1:] = np.uint64(2**64 - 1) // np.arange(1, LARGEST_DIM + 1, dtype=np.uint64)
    return table


@cache
def _factorials() -> list[tuple[int, int]]:
    """k! as mantissa and exponent, to 2^-80 of it, for k = 0, ..., 10 000."""
    mantissa, exponent, table = 1, 0, [(1, 0)]
    for k in range(1, LARGEST_DIM + 1):
        mantissa *= k
        dropped = max(0, mantissa.bit_length() - 96)
        mantissa, exponent = mantissa >> dropped, exponent + dropped
        table.append((mantissa, exponent))
    return table


@lru_cache(maxsize=4096)
def length(d: int, members: int) -> int | None:
    """ceil(log2 C(d, members)); None where C is within 2^-30 of a power of two, as is C(2^k, 1)."""
    above, up = _factorials()[d]
    first, second = _factorials()[members], _factorials()[d - members]
    count = (above << 160) // (first[0] * second[0])
    exponent = up - first[1] - second[1] - 160
    nearly = count >> 30
    bits = (count + nearly).bit_length()
    return bits + exponent if (count - nearly).bit_length() == bits else None


@kernel
def encode(mask, members, length, inverses, digits):
    """Fill ``digits`` (zeros, base 2^16, length // 16 + 6 of them) with the code.

    The first digit stays 0, the next ``length`` bits are the code, the others are zeros.
    """
    low, width, at, left = np.uint64(0), _LEAST, 0, members
    for i in range(mask.size):
        remaining = mask.size - i
        if left == 0 or left == remaining:
            break
        part = high_product(width, np.uint64(left) * inverses[remaining])
        other = np.uint64(mask[i]) - ONE  # no bit for a member, or all: no branch to predict
        left -= np.int64(mask[i])
        width = (part & ~other) | ((width - part) & other)
        low += part & other
        if low < part & other:
            _carry(digits, at)
        if width < _LEAST:
            digits[at] = low >> np.uint64(48)
            at += 1
            low, width = low << np.uint64(16), width << np.uint64(16)
    unit = ONE << np.uint64(48 + 16 * at - length)
    rounded = low + (unit - ONE) & ~(unit - ONE)
    if rounded < low:
        _carry(digits, at)
    for i in range(4):
        digits[at + i] = rounded >> np.uint64(48 - 16 * i)


@kernel
def _carry(digits, at):
    """Add one to the number whose last digit is before ``at``."""
    at -= 1
    while digits[at] == _LAST:
        digits[at] = 0
        at -= 1
    digits[at] += np.uint16(1)


@kernel
def decode(digits, members, length, inverses, mask):
    """Fill the mask with what ``digits`` say: ``length`` bits, and six digits of zeros.

    Returns whether the code is the one that the encoder writes for this mask.
    """
    code = np.uint64(0)
    for i in range(3):
        code = code << np.uint64(16) | np.uint64(digits[i])
    width, at, left = _LEAST, 3, members
    share = np.uint64(left) * inverses[mask.size]
    for i in range(mask.size):
        remaining = mask.size - i
        if left == 0 or left == remaining:
            mask[i:] = left > 0
            break
        part = high_product(width, share)
        mask[i] = code < part
        other = np.uint64(code < part) - ONE
        following = inverses[remaining - 1]
        share = np.uint64(left) * following - (following & ~other)
        left -= np.int64(ONE & ~other)
        code -= part & other
        width = (part & ~other) | ((width - part) & other)
        if width < _LEAST:
            code = code << np.uint64(16) | np.uint64(digits[at])
            width <<= np.uint64(16)
            at += 1
    return code < ONE << np.uint64(16 * at - length)
