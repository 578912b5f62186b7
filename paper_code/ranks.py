"""The rank of a subset among all of its size: exact integers of up to d bits, in 64-bit limbs.

A rank is a sum of binomials C(j, i), and each of them the one before times a small fraction. The
loops take several steps at once, as many as keep the fraction within 64 bits: the cost is d^2 / 256
limbs for d = 10 000. Limbs come least significant first.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np

from .kernels import ONE, high_product, kernel, ones

_LIMB = 2.0**64


@kernel
def _scaled(number, size, factor, divisor, out):
    """out = number * factor / divisor, which must be an integer; return its size in limbs.

    Division from the low end (Jebelean 1993, J. Symbolic Comput. 15): a limb of the quotient is a
    limb of the dividend times the inverse of the divisor modulo 2^64. ``out`` may be ``number``.
    """
    shift = ones((divisor & (~divisor + ONE)) - ONE)  # the divisor's zeros at the low end
    odd = divisor >> shift
    inverse = odd * np.uint64(3) ^ np.uint64(2)  # to 5 bits; each step doubles them
    for _ in range(4):
        inverse *= np.uint64(2) - odd * inverse
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
        out[i - 1] = (part - borrow) * inverse
        borrow = high_product(out[i - 1], odd) + np.uint64(part < borrow)
        before = limb
    size += 1
    while size > 1 and out[size - 1] == 0:
        size -= 1
    return size


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
        size = _scaled(limbs, size, above, below, limbs)
    return size


@kernel
def rank_subset(mask, members, rank):
    """Fill ``rank`` (zeros, d // 64 + 4 limbs) with the sum of C(c_i, i), i = 1, ..., members.

    c_1 < c_2 < ... are the positions of the mask (combinatorial number system). 0 < members < d.
    """
    limbs, part = np.zeros_like(rank), np.zeros_like(rank)
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
            _add(rank, part, _scaled(limbs, size, share, below, part))
        size = _scaled(limbs, size, above, below, limbs)


@kernel
def unrank_subset(rank, limbs, size, members, mask):
    """Set the ``members`` positions that ``rank`` says; it must be below C(d, members).

    That binomial is in ``limbs``, of ``size``; both are used up. All have d // 64 + 4 limbs.
    The first step of several is decided exactly, the others by a floating-point ratio as long as
    its error leaves no doubt.
    """
    part = np.zeros_like(rank)
    size = _scaled(limbs, size, np.uint64(mask.size - members), np.uint64(mask.size), limbs)
    j, steps = mask.size - 1, _steps(mask.size)
    while 0 < members <= j:  # limbs = C(j, members): is j a member?
        member, ratio = not _less(rank, limbs, size), _ratio(rank, limbs, size)
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
            _subtract(rank, part, _scaled(limbs, size, share, below, part))
        size = _scaled(limbs, size, above, below, limbs)
    mask[:members] = True  # the members that are left fill all places


@kernel
def _add(rank, part, size):
    carry = np.uint64(0)
    for i in range(size):
        limb = rank[i] + carry
        carry = np.uint64(limb < carry)
        rank[i] = limb + part[i]
        carry += np.uint64(rank[i] < limb)
    while carry:
        rank[size] += ONE
        carry = np.uint64(rank[size] == 0)
        size += 1


@kernel
def _subtract(rank, part, size):
    borrow = np.uint64(0)
    for i in range(size):
        limb = rank[i] - borrow
        borrow = np.uint64(limb > rank[i])
        rank[i] = limb - part[i]
        borrow += np.uint64(rank[i] > limb)
    while borrow:
        borrow = np.uint64(rank[size] == 0)
        rank[size] -= ONE
        size += 1


@kernel
def _less(rank, limbs, size):
    """rank < limbs; no rank has more than a limb above those."""
    for i in range(size, -1, -1):
        other = limbs[i] if i < size else np.uint64(0)
        if rank[i] != other:
            return rank[i] < other
    return False


@kernel
def _ratio(rank, limbs, size):
    """rank / limbs from their leading limbs: to 2^-51, relative."""
    top = size - 1
    whole, part = np.float64(limbs[top]), np.float64(rank[size]) * _LIMB + np.float64(rank[top])
    if top:
        whole = whole * _LIMB + np.float64(limbs[top - 1])
        part = part * _LIMB + np.float64(rank[top - 1])
    return part / whole
