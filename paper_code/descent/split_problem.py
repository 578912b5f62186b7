"""One problem split over n workers: each holds some of the samples, together they hold f."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .problems import Logistic, Problem, Ridge, check_array, check_samples

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Split(Problem):
    """f = (f_1 + … + f_n) / n, worker i holding f_i = n weights_i parts_i.

    ``parts`` are problems on the same R^d and ``weights``, shape (n,), sum to 1: weighted by the
    samples that each worker holds, they make up ``whole`` exactly, for any n. Raises ValueError for
    weights that are not positive or not of the parts' number.
    """

    whole: Problem
    parts: tuple[Problem, ...]
    weights: Array

    def __post_init__(self) -> None:
        check_array("weights", self.weights, dimensions=1)
        if len(self.weights) != len(self.parts) or not (self.weights > 0).all():
            raise ValueError(f"need {len(self.parts)} positive weights, got {self.weights}")

    @property
    def n(self) -> int:
        """Number of workers."""
        return len(self.parts)

    @property
    def d(self) -> int:
        return self.whole.d

    @property
    def L(self) -> float:
        return self.whole.L

    @property
    def mu(self) -> float:
        return self.whole.mu

    @property
    def minimiser(self) -> Array:
        return self.whole.minimiser

    @cached_property
    def worker_L(self) -> Array:
        """The smoothness of every f_i, shape (n,)."""
        return self.n * self.weights * np.array([part.L for part in self.parts])

    def value(self, x: Array) -> Array:
        return self.whole.value(x)

    def gradient(self, x: Array) -> Array:
        return self.whole.gradient(x)

    def worker_gradients(self, x: Array) -> Array:
        """The gradient of every f_i at x, shape (n, d); their mean is ``gradient(x)``."""
        gradients = np.array([part.gradient(x) for part in self.parts])
        return self.n * self.weights[:, None] * gradients


def split(
    kind: Literal["ridge", "logistic"],
    features: Array,
    target: Array,
    n: int,
    regularisation: float,
    *,
    by_target: bool,
) -> Split:
    """``kind`` regression on samples dealt to n workers in parts of nearly equal size.

    ``by_target`` sorts them before, so that every worker sees other targets (heterogeneous);
    otherwise they are shuffled, always alike (homogeneous). ``features`` has shape (samples, d),
    ``target`` (samples,). Raises ValueError for another kind and for more workers than samples.
    """
    check_samples(features, target)
    if kind not in ("ridge", "logistic"):
        raise ValueError(f"kind must be 'ridge' or 'logistic', got {kind!r}")
    if not 1 <= n <= len(target):
        raise ValueError(f"n is {n}; allowed are 1 to the number of samples, {len(target)}")
    order = np.random.default_rng(0).permutation(len(target))
    if by_target:
        order = order[np.argsort(target[order], kind="stable")]
    rows = np.array_split(order, n)
    parts = tuple(_part(kind, features[own], target[own], regularisation) for own in rows)
    weights = np.array([len(own) for own in rows]) / len(target)
    return Split(_part(kind, features, target, regularisation), parts, weights)


def _part(kind: str, features: Array, target: Array, regularisation: float) -> Problem:
    if kind == "logistic":
        return Logistic(features, target, regularisation)
    return replace(Ridge.from_data(features, target), regularisation=regularisation)
