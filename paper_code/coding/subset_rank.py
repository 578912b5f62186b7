"""The rank of a subset among all of its size: exact integers of up to d bits, in 64-bit limbs.

A rank is a sum of binomials C(j, i), and each of them the one before times a small fraction. The
loops take several steps at once, as many as keep the fraction within 64 bits: the cost is d^2 / 256
limbs for d = 10 000.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np

from ..numerics.compiled import ONE, kernel
from .words import high_product, ones

_LIMB = 2.0**64


@kernel
def _parts(divisor):
    """How many zeros the divisor has at its low end, what is above, its inverse modulo 2^64."""
    shift = ones((divisor & (~divisor + ONE)) - ONE)
    odd = divisor >> shift
    inverse = odd * np.uint64(3) ^ np.uint64(2)  # to 5 bits; each step doubles them
    for _ in range(4):
        inverse *= np.uint64(2) - odd * inverse
    return shift, odd, inverse


@kernel
def scaled(number, size, factor, divisor):
    """number = number * factor / divisor, which must be an integer; return its size in limbs.

    Division from the low end (Jebelean 1993, J. Symbolic Comput. 15): a limb of the quotient is a
    limb of the dividend times the inverse of the divisor modulo 2^64.
    """
    shift, odd, inverse = _parts(divisor)
    before = number[0] * factor
    carry, borrow = high_product(number[0], factor), np.uint64(0)
    for i in range(1, size + 2):
        limb = np.uint64(0)
        if i < size:
            limb = number[i] * factor + carry
            carry = high_product(number[i], factor) + np.uint64(limb < carry)
        elif i == size:
            limb = carry
        part = (before >> shift) | (limb << ONE) << (np.uint64(63) - shift)
        number[i - 1] = (part - borrow) * inverse
        borrow = high_product(number[i - 1], odd) + np.uint64(part < borrow)
        before = limb
    size += 1
    while size > 1 and number[size - 1] == 0:
        size -= 1
    return size


@kernel
def move(limbs, size, share, above, below, rank, flip):
    """rank += limbs * share / below, and limbs = limbs * above / below; return their new size.

    ``flip`` is 0; all ones make it a subtraction. As ``scaled``, for both at once: each limb waits
    for the one before, and the two chains wait side by side. Limbs from ``size`` on are zeros.
    """
    shift, odd, inverse = _parts(below)
    up = np.uint64(63) - shift
    low_share, carry_share = limbs[0] * share, high_product(limbs[0], share)
    low_above, carry_above = limbs[0] * above, high_product(limbs[0], above)
    borrow_share = borrow_above = np.uint64(0)
    carry = flip & ONE  # -q = ~q + 1
    for i in range(1, size + 2):
        limb = limbs[i] * share + carry_share
        carry_share = high_product(limbs[i], share) + np.uint64(limb < carry_share)
        part = (low_share >> shift) | (limb << ONE) << up
        quotient = (part - borrow_share) * inverse
        borrow_share = high_product(quotient, odd) + np.uint64(part < borrow_share)
        low_share = limb
        term, held = quotient ^ flip, rank[i - 1] + carry
        carry = np.uint64(held < carry)
        rank[i - 1] = held + term
        carry += np.uint64(rank[i - 1] < term)

        limb = limbs[i] * above + carry_above
        carry_above = high_product(limbs[i], above) + np.uint64(limb < carry_above)
        part = (low_above >> shift) | (limb << ONE) << up
        limbs[i - 1] = (part - borrow_above) * inverse
        borrow_above = high_product(limbs[i - 1], odd) + np.uint64(part < borrow_above)
        low_above = limb
    size += 1
    at = size
    while carry != flip & ONE:  # goes on into the limbs of the rank above
        rank[at] += flip | ONE
        carry = np.uint64(rank[at] == 0) if flip == 0 else np.uint64(rank[at] != ~np.uint64(0))
        at += 1
    while size > 1 and limbs[size - 1] == 0:
        size -= 1
    return size


@kernel
def less(rank, limbs, size):
    """Whether rank < limbs; no rank has more than a limb above those."""
    for i in range(size, -1, -1):
        other = limbs[i] if i < size else np.uint64(0)
        if rank[i] != other:
            return rank[i] < other
    return False


@kernel
def quotient(rank, limbs, size):
    """rank / limbs from their leading limbs: to 2^-51, relative."""
    top = size - 1
    whole, part = np.float64(limbs[top]), np.float64(rank[size]) * _LIMB + np.float64(rank[top])
    if top:
        whole = whole * _LIMB + np.float64(limbs[top - 1])
        part = part * _LIMB + np.float64(rank[top - 1])
    return part / whole


@kernel
def _steps(d):
    """How many factors below d, and a sum of so many products of them, are within 64 bits."""
    width = 1
    while d >> width:
        width += 1
    return min(8, 60 // width)


@kernel
def binomial(d, members, limbs):
    """Fill ``limbs`` (zeros, d // 64 + 4 of them) with C(d, members); return its size."""
    limbs[0] = ONE
    size, i, steps = 1, 0, _steps(d)
    members = min(members, d - members)
    while i < members:
        above = below = ONE
        for _ in range(min(steps, members - i)):
            above *= np.uint64(d - i)
            i += 1
            below *= np.uint64(i)
        size = scaled(limbs, size, above, below)
    return size


@kernel
def rank_subset(mask, members, rank):
    """Fill ``rank`` (zeros, d // 64 + 4 limbs) with the sum of C(c_i, i), i = 1, ..., members.

    c_1 < c_2 < ... are the positions of the mask (combinatorial number system). 0 < members < d.
    """
    limbs = np.zeros_like(rank)
    limbs[0] = ONE
    size, j, steps = 1, 0, _steps(mask.size)
    while mask[j]:  # C(j, j + 1) = 0
        j += 1
    j += 1
    order = j  # limbs = C(j, order), from C(j, j) on
    while order <= members:
        above = below = ONE  # C(j, order) is now above / below of ``limbs``
        share = np.uint64(0)  # share / below of ``limbs`` belongs to the rank
        for _ in range(steps):
            if mask[j]:
                share += above
                order += 1
                divisor = np.uint64(order)
            else:
                divisor = np.uint64(j + 1 - order)
            j += 1
            above, below, share = above * np.uint64(j), below * divisor, share * divisor
            if order > members:
                break
        if share:
            size = move(limbs, size, share, above, below, rank, np.uint64(0))
        else:
            size = scaled(limbs, size, above, below)


@kernel
def unrank_subset(rank, limbs, size, members, mask):
    """Set the ``members`` positions that ``rank`` says; it must be below C(d, members).

    That binomial is in ``limbs``, of ``size``; both are used up. All have d // 64 + 4 limbs.
    The first step of several is decided exactly, the others by a floating-point ratio as long as
    its error leaves no doubt.
    """
    size = scaled(limbs, size, np.uint64(mask.size - members), np.uint64(mask.size))
    j, steps = mask.size - 1, _steps(mask.size)
    while 0 < members <= j:  # limbs = C(j, members): is j a member?
        member, ratio = not less(rank, limbs, size), quotient(rank, limbs, size)
        doubt = (ratio + 1) * 2.0**-48
        above = below = ONE
        share, left = np.uint64(0), steps
        while True:
            if member:
                mask[j] = True
                share += above
                ratio -= 1
            factor = members if member else j - members
            above, below = above * np.uint64(factor), below * np.uint64(j)
            share *= np.uint64(j)
            members, j, left = members - np.int64(member), j - 1, left - 1
            if left == 0 or not 0 < members <= j:
                break
            growth = (j + 1) / factor
            ratio, doubt = ratio * growth, (doubt + ratio * 2.0**-50) * growth
            if abs(ratio - 1) <= doubt:
                break
            member = ratio > 1
        if share:
            size = move(limbs, size, share, above, below, rank, ~np.uint64(0))
        else:
            size = scaled(limbs, size, above, below)
    mask[:members] = True  # the members that are left fill all places
