"""The costliest input of deterministic Sparse Dithering, exactly: an integer programme.

In units of the step 2h a unit vector has squared length R = d/(4 nu). A coordinate of level
k >= 1 takes at least (k - 1/2)^2 of it and a zero takes nothing, so m non-zero levels are
feasible when sum k_i (k_i - 1) <= R - m/4. Raising a level from k to k + 1 costs 2k there and one
unary bit in the message: for each m the dearest levels are as equal as possible. They are
attained too, for what they leave of R is less than they can take before a level rises.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.domain import Result

FLOAT32_SLACK = 2.0**-23
"""A float32 lies less than this far, relatively, below the number that it stands for."""

GAMMA_BITS = 31


class _Levels(NamedTuple):
    """raised coordinates at level + 1, the other non-zeros at level, and zeros."""

    bits: float
    zeros: int
    raised: int
    level: int


@overload
def sparse_dithering_worst_bits(
    nu: float, d: float, *, gamma_slack: float = FLOAT32_SLACK, whole_bits: bool = True
) -> float: ...
@overload
def sparse_dithering_worst_bits(
    nu: ArrayLike, d: ArrayLike, *, gamma_slack: float = FLOAT32_SLACK, whole_bits: bool = True
) -> Result: ...
def sparse_dithering_worst_bits(
    nu: ArrayLike,
    d: ArrayLike,
    *,
    gamma_slack: float = FLOAT32_SLACK,
    whole_bits: bool = True,
) -> Result:
    """Return the most bits that any input costs deterministic Sparse Dithering, exactly.

    31 + ceil(log2 d) + ceil(log2 (d choose n0)) + (d - n0) + sum k_i, maximised over all feasible
    level vectors; `whole_bits=False` drops both ceilings. `gamma_slack` is how far, relatively,
    the gamma that is sent may lie below the true one: it makes u look longer by that much, and
    the default is what rounding down to a float32 can do. Work grows as d^2: 10^4 takes 0.1 s.
    Equality: attained, by `sparse_dithering_worst_input`.

    Domain: 0 < nu < 1, whole d >= 1, 0 <= gamma_slack < 1; ValueError otherwise.
    Source: paper, encoding of Sparse Dithering; the programme is derived in this module.

    >>> [int(sparse_dithering_worst_bits(0.1, d)) for d in (10, 14, 100, 1000)]
    [67, 80, 366, 3343]
    """
    nu, d = np.broadcast_arrays(domain.fraction("nu", nu), domain.whole("d", d))
    slack = _checked_slack(gamma_slack)
    bits = [
        max(levels.bits for levels in _candidates(float(n), int(m), slack, whole_bits))
        for n, m in zip(nu.flat, d.flat, strict=True)
    ]
    return domain.result(np.reshape(bits, nu.shape))


def sparse_dithering_worst_input(
    nu: float, d: int, *, gamma_slack: float = 0.0
) -> NDArray[np.float64]:
    """Return a unit vector of shape (d,) that costs `sparse_dithering_worst_bits`.

    The squared length that the levels leave over moves every coordinate inside its level, all by
    the same share of the level's width, so that rounding errors do not matter. Where nothing is
    left over (a nu such as 1/4) coordinates sit on the boundary of two levels. The default leaves
    gamma exact and may cost a bit or so less than the worst case with its slack (79 for 80 at
    nu = 0.1, d = 14); with a positive `gamma_slack` the vector costs the worst case only where
    gamma really loses that much.

    Domain: 0 < nu < 1, whole d >= 1, 0 <= gamma_slack < 1; ValueError otherwise.
    Source: derived in this module.

    >>> sparse_dithering_worst_input(0.1, 4)
    array([0.5, 0.5, 0.5, 0.5])
    """
    nu, d = float(domain.fraction("nu", nu)), int(domain.whole("d", d))
    slack = _checked_slack(gamma_slack)
    best = max(_candidates(nu, d, slack, True), key=lambda levels: levels.bits)
    centres = np.full(d, float(best.level))
    centres[: best.raised] += 1
    centres[d - best.zeros :] = 0
    lowest = np.where(centres > 0, centres - 0.5, 0.0)
    width = np.where(centres > 0, 1.0, 0.5)
    # |lowest + share * width|^2 = R, a quadratic in share with one root in [0, 1].
    a, b = width @ width, lowest @ width
    over = float(_squared_length(nu, d, slack) - Fraction(float(lowest @ lowest)))
    vector = lowest + over / (b + np.sqrt(b * b + a * over)) * width
    return vector / np.linalg.norm(vector)


def _candidates(nu: float, d: int, slack: Fraction, whole_bits: bool) -> Iterator[_Levels]:
    """Yield the costliest levels for each number of zeros that a message can name."""
    room = _squared_length(nu, d, slack)
    index_bits = (d - 1).bit_length() if whole_bits else math.log2(d)
    subsets = 1  # (d choose zeros), exact: its ceiling must not suffer from rounding
    for zeros in range(d):
        nonzeros = d - zeros
        budget = math.floor(room - Fraction(nonzeros, 4))
        level = (1 + math.isqrt(1 + 4 * (budget // nonzeros))) // 2
        raised = (budget - nonzeros * level * (level - 1)) // (2 * level)
        subset_bits = (subsets - 1).bit_length() if whole_bits else math.log2(subsets)
        bits = GAMMA_BITS + index_bits + subset_bits + nonzeros * (1 + level) + raised
        yield _Levels(bits, zeros, raised, level)
        subsets = subsets * nonzeros // (zeros + 1)


def _squared_length(nu: float, d: int, slack: Fraction) -> Fraction:
    # Exact, because a coordinate just on a boundary decides a whole bit.
    return Fraction(d) * (1 + slack) ** 2 / (4 * Fraction(nu))


def _checked_slack(gamma_slack: float) -> Fraction:
    if not 0 <= gamma_slack < 1:
        raise ValueError(f"gamma_slack must be at least 0 and below 1, got {gamma_slack:g}")
    return Fraction(gamma_slack)
