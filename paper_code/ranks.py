"""The rank of a subset among all of its size: exact integers of up to d bits, in 64-bit limbs.

A rank is a sum of binomials C(j, i), and each of them the one before times a small fraction. The
loops take several steps at once, as many as keep the fraction within 64 bits: the cost is d^2 / 256
limbs for d = 10 000.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np

from .kernels import ONE, kernel
from .limbs import less, move, quotient, scaled


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
