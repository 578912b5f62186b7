"""The rank of a subset among all of its size: a sum of binomials, exact, of up to d bits.

Numbers are arrays of digits in base 2^64, least significant first. A rank is a sum of binomials
C(j, i), and each of them is the one before times a small fraction. The loops multiply several such
fractions at once, as many as keep the product within 64 bits: the cost is d^2 / 256 digits for
d = 10 000.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np

from ..numerics.compiled import ONE, kernel
from .words import high_product, ones

_BASE = 2.0**64


@kernel
def rank_subset(mask, members, rank):
    """Fill ``rank`` (zeros, d // 64 + 4 digits) with the sum of C(c_i, i), i = 1, ..., members.

    c_1 < c_2 < ... are the positions of the mask (combinatorial number system). 0 < members < d.
    """
    digits = np.zeros_like(rank)
    digits[0] = ONE
    size, j, at_once = 1, 0, _factors_at_once(mask.size)
    while mask[j]:  # C(j, j + 1) = 0
        j += 1
    j += 1
    order = j  # digits = C(j, order), from C(j, j) on
    while order <= members:
        above = below = ONE  # C(j, order) is now above / below of ``digits``
        added = np.uint64(0)  # added / below of ``digits`` belongs to the rank
        for _ in range(at_once):
            if mask[j]:
                added += above
                order += 1
                divisor = np.uint64(order)
            else:
                divisor = np.uint64(j + 1 - order)
            j += 1
            above, below, added = above * np.uint64(j), below * divisor, added * divisor
            if order > members:
                break
        if added:
            size = _scale_and_add(digits, size, added, above, below, rank, np.uint64(0))
        else:
            size = _scale(digits, size, above, below)


@kernel
def unrank_subset(rank, digits, size, members, mask):
    """Set the ``members`` positions that ``rank`` says; it must be below C(d, members).

    That binomial is in ``digits``, of ``size``; both are used up. All have d // 64 + 4 digits.
    The first place of several is decided exactly, the others by a floating-point ratio as long as
    its error leaves no doubt.
    """
    size = _scale(digits, size, np.uint64(mask.size - members), np.uint64(mask.size))
    j, at_once = mask.size - 1, _factors_at_once(mask.size)
    while 0 < members <= j:  # digits = C(j, members): is j a member?
        member, ratio = not _less(rank, digits, size), _quotient(rank, digits, size)
        doubt = (ratio + 1) * 2.0**-48
        above = below = ONE
        added, left = np.uint64(0), at_once
        while True:
            if member:
                mask[j] = True
                added += above
                ratio -= 1
            factor = members if member else j - members
            above, below = above * np.uint64(factor), below * np.uint64(j)
            added *= np.uint64(j)
            members, j, left = members - np.int64(member), j - 1, left - 1
            if left == 0 or not 0 < members <= j:
                break
            growth = (j + 1) / factor
            ratio, doubt = ratio * growth, (doubt + ratio * 2.0**-50) * growth
            if abs(ratio - 1) <= doubt:
                break
            member = ratio > 1
        if added:
            size = _scale_and_add(digits, size, added, above, below, rank, ~np.uint64(0))
        else:
            size = _scale(digits, size, above, below)
    mask[:members] = True  # the members that are left fill all places


@kernel
def binomial(d, members, digits):
    """Fill ``digits`` (zeros, d // 64 + 4 of them) with C(d, members); return its size."""
    digits[0] = ONE
    size, i, at_once = 1, 0, _factors_at_once(d)
    members = min(members, d - members)
    while i < members:
        above = below = ONE
        for _ in range(min(at_once, members - i)):
            above *= np.uint64(d - i)
            i += 1
            below *= np.uint64(i)
        size = _scale(digits, size, above, below)
    return size


@kernel
def _factors_at_once(d):
    """How many factors below d, and a sum of so many products of them, are within 64 bits."""
    width = 1
    while d >> width:
        width += 1
    return min(8, 60 // width)


@kernel
def _scale_and_add(digits, size, added, above, below, rank, flip):
    """rank += digits * added / below, and digits = digits * above / below; return their new size.

    ``flip`` is 0; all ones make it a subtraction. As ``_scale``, for both at once: each digit waits
    for the one before, and the two chains wait side by side. Digits from ``size`` on are zeros.
    """
    shift, odd, inverse = _parts(below)
    up = np.uint64(63) - shift
    low_added, carry_added = digits[0] * added, high_product(digits[0], added)
    low_scaled, carry_scaled = digits[0] * above, high_product(digits[0], above)
    borrow_added = borrow_scaled = np.uint64(0)
    carry = flip & ONE  # -q = ~q + 1
    for i in range(1, size + 2):
        digit = digits[i] * added + carry_added
        carry_added = high_product(digits[i], added) + np.uint64(digit < carry_added)
        shifted = (low_added >> shift) | (digit << ONE) << up
        quotient = (shifted - borrow_added) * inverse
        borrow_added = high_product(quotient, odd) + np.uint64(shifted < borrow_added)
        low_added = digit
        term, held = quotient ^ flip, rank[i - 1] + carry
        carry = np.uint64(held < carry)
        rank[i - 1] = held + term
        carry += np.uint64(rank[i - 1] < term)

        digit = digits[i] * above + carry_scaled
        carry_scaled = high_product(digits[i], above) + np.uint64(digit < carry_scaled)
        shifted = (low_scaled >> shift) | (digit << ONE) << up
        digits[i - 1] = (shifted - borrow_scaled) * inverse
        borrow_scaled = high_product(digits[i - 1], odd) + np.uint64(shifted < borrow_scaled)
        low_scaled = digit
    size += 1
    at = size
    while carry != flip & ONE:  # goes on into the digits of the rank above
        rank[at] += flip | ONE
        carry = np.uint64(rank[at] == 0) if flip == 0 else np.uint64(rank[at] != ~np.uint64(0))
        at += 1
    while size > 1 and digits[size - 1] == 0:
        size -= 1
    return size


@kernel
def _scale(number, size, factor, divisor):
    """number = number * factor / divisor, which must be an integer; return its size in digits.

    Division from the low end (Jebelean 1993, J. Symbolic Comput. 15): a digit of the quotient is a
    digit of the dividend times the inverse of the divisor modulo 2^64.
    """
    shift, odd, inverse = _parts(divisor)
    before = number[0] * factor
    carry, borrow = high_product(number[0], factor), np.uint64(0)
    for i in range(1, size + 2):
        digit = np.uint64(0)
        if i < size:
            digit = number[i] * factor + carry
            carry = high_product(number[i], factor) + np.uint64(digit < carry)
        elif i == size:
            digit = carry
        shifted = (before >> shift) | (digit << ONE) << (np.uint64(63) - shift)
        number[i - 1] = (shifted - borrow) * inverse
        borrow = high_product(number[i - 1], odd) + np.uint64(shifted < borrow)
        before = digit
    size += 1
    while size > 1 and number[size - 1] == 0:
        size -= 1
    return size


@kernel
def _parts(divisor):
    """How many zeros the divisor has at its low end, what is above, its inverse modulo 2^64."""
    shift = ones((divisor & (~divisor + ONE)) - ONE)
    odd = divisor >> shift
    inverse = odd * np.uint64(3) ^ np.uint64(2)  # to 5 bits; each turn doubles them
    for _ in range(4):
        inverse *= np.uint64(2) - odd * inverse
    return shift, odd, inverse


@kernel
def _less(rank, digits, size):
    """Whether rank < digits; no rank has more than a digit above those."""
    for i in range(size, -1, -1):
        other = digits[i] if i < size else np.uint64(0)
        if rank[i] != other:
            return rank[i] < other
    return False


@kernel
def _quotient(rank, digits, size):
    """rank / digits from their leading digits: to 2^-51, relative."""
    top = size - 1
    below, above = np.float64(digits[top]), np.float64(rank[size]) * _BASE + np.float64(rank[top])
    if top:
        below = below * _BASE + np.float64(digits[top - 1])
        above = above * _BASE + np.float64(rank[top - 1])
    return above / below
