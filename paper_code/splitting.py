"""One problem split over n workers: each holds some of the samples, together they hold f."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .checks import check_array, check_samples
from .datasets import scaled_to_unit_interval
from .problems import Logistic, Problem, Ridge

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Split(Problem):
    """f = (f_1 + … + f_n) / n, worker i holding f_i = n shares_i parts_i.

    ``parts`` are problems on the same R^d and ``shares``, shape (n,), sum to 1: weighted by the
    samples that each worker holds, they make up ``whole`` exactly, for any n. Raises ValueError for
    shares that are not positive or not of the parts' number.
    """

    whole: Problem
    parts: tuple[Problem, ...]
    shares: Array

    def __post_init__(self) -> None:
        check_array("shares", self.shares, dimensions=1)
        if len(self.shares) != len(self.parts) or not (self.shares > 0).all():
            raise ValueError(f"need {len(self.parts)} positive shares, got {self.shares}")

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
        return self.n * self.shares * np.array([part.L for part in self.parts])

    def value(self, x: Array) -> Array:
        return self.whole.value(x)

    def gradient(self, x: Array) -> Array:
        return self.whole.gradient(x)

    def worker_gradients(self, x: Array) -> Array:
        """The gradient of every f_i at x, shape (n, d); their mean is ``gradient(x)``."""
        gradients = np.array([part.gradient(x) for part in self.parts])
        return self.n * self.shares[:, None] * gradients


def split(
    kind: Literal["ridge", "logistic"],
    features: Array,
    target: Array,
    n: int,
    regularisation: float,
    *,
    by_target: bool,
) -> Split:
    """``kind`` regression on samples dealt to n workers in runs of nearly equal length.

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
    shares = np.array([len(own) for own in rows]) / len(target)
    return Split(_part(kind, features, target, regularisation), parts, shares)


def _part(kind: str, features: Array, target: Array, regularisation: float) -> Problem:
    if kind == "logistic":
        return Logistic(features, target, regularisation)
    return replace(Ridge.from_data(features, target), regularisation=regularisation)


def bundled(kind: Literal["ridge", "logistic"], n: int, *, by_target: bool) -> Split:
    """A problem of d = 10 over n workers, from data that scikit-learn brings, the same everywhere.

    Ridge: the diabetes set (442 samples), columns and target of unit variance. Logistic: the ten
    means of the breast-cancer set (569), scaled to [-1, 1]. Regularisation 0.1.
    """
    from sklearn.datasets import load_breast_cancer, load_diabetes

    if kind == "ridge":
        data = load_diabetes()
        target = (data.target - data.target.mean()) / data.target.std()
        features = data.data * np.sqrt(len(target))  # the columns come with norm 1
    else:
        data = load_breast_cancer()
        features, target = scaled_to_unit_interval(data.data[:, :10]), 2.0 * data.target - 1
    return split(kind, features, target, n, regularisation=0.1, by_target=by_target)
