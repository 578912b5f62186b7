"""Test vectors: what compressors are tried on, from kind to hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..descent.problems import Problem

Vector = NDArray[np.float64]


def gaussian(d: int, rng: np.random.Generator) -> Vector:
    """Independent N(0, 1): a uniformly random direction, the hard case of rate-distortion."""
    return rng.standard_normal(d)


def heavy_tailed(d: int, rng: np.random.Generator) -> Vector:
    """Independent Student-t with 3 degrees of freedom: tails like those of real gradients."""
    return rng.standard_t(3, d)


def sparse(d: int, rng: np.random.Generator) -> Vector:
    """N(0, 1) in 1 % of the coordinates (one at least), zero elsewhere."""
    x = np.zeros(d)
    count = max(1, d // 100)
    x[rng.choice(d, count, replace=False)] = rng.standard_normal(count)
    return x


def one_hot(d: int, rng: np.random.Generator) -> Vector:
    """One coordinate is all there is."""
    x = np.zeros(d)
    x[rng.integers(d)] = 1.0
    return x


def constant(d: int, rng: np.random.Generator) -> Vector:
    """All coordinates equal to 1: the worst case of top-k and of random dithering."""
    return np.ones(d)


def decaying(d: int, rng: np.random.Generator) -> Vector:
    """2^0, 2^-1, 2^-2, ...: every scale at once."""
    return np.ldexp(1.0, -np.minimum(np.arange(d), 100))


def gradients(
    problems: Sequence[Problem], d: int, rng: np.random.Generator, rounds: int = 100
) -> Vector:
    """Real gradients of small ``problems`` end to end, cut to d coordinates.

    Each is met by gradient descent from its own start N(0, I), after 0 to ``rounds`` - 1 rounds.
    The problems take turns, and the gradients of each are scaled to norm 1 in all: else the one
    with the largest features would be all there is. Raises ValueError without problems or rounds.
    """
    if not problems or rounds < 1:
        raise ValueError(f"need problems and rounds >= 1, got {len(problems)} and {rounds}")
    starts = -(-d // sum(problem.d for problem in problems))
    taken = rng.integers(rounds, size=starts)  # rounds before the gradient
    parts = []
    for problem in problems:
        x = rng.standard_normal((starts, problem.d))
        for t in range(taken.max()):
            x = np.where((taken > t)[:, None], x - problem.gradient(x) / problem.L, x)
        gradient = problem.gradient(x)
        parts.append(gradient / (np.linalg.norm(gradient) or 1.0))
    return np.hstack(parts).ravel()[:d]


KINDS: dict[str, Callable[[int, np.random.Generator], Vector]] = {
    "Gaussian": gaussian,
    "heavy-tailed": heavy_tailed,
    "sparse": sparse,
    "one-hot": one_hot,
    "constant": constant,
    "decaying": decaying,
}
"""Every kind by the name that figures show."""
