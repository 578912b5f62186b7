"""Exact integers of many 64-bit limbs, least significant first: times a fraction, and compared."""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np

from .kernels import ONE, high_product, kernel, ones

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
