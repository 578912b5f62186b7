"""Two strongly convex problems of the paper's experiments: ridge and logistic regression."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]


class Problem(ABC):
    """A smooth, strongly convex f on R^d whose minimiser is known.

    Every Hessian lies between ``mu`` and ``L`` times the identity; at ``minimiser``, shape (d,),
    the gradient vanishes to machine precision.
    """

    @property
    @abstractmethod
    def d(self) -> int:
        """Number of coordinates."""

    @property
    @abstractmethod
    def L(self) -> float:
        """The smoothness: the largest eigenvalue of a Hessian, at most."""

    @property
    @abstractmethod
    def mu(self) -> float:
        """The strong convexity: the least eigenvalue of a Hessian, at least."""

    @property
    @abstractmethod
    def minimiser(self) -> Array:
        """x*, shape (d,)."""

    @abstractmethod
    def value(self, x: Array) -> Array:
        """f(x), of shape (...) for points x of shape (..., d)."""

    @abstractmethod
    def gradient(self, x: Array) -> Array:
        """The gradient of f at each point, of shape (..., d) like x."""

    @property
    def kappa(self) -> float:
        """Condition number L / mu; gradient descent needs about kappa log(1/error) rounds."""
        return self.L / self.mu


@dataclass(frozen=True, eq=False)
class Ridge(Problem):
    """Ridge regression, f(x) = ||A x - b||^2 / (2n) + regularisation / 2 ||x||^2, by its moments.

    ``gram`` is A^T A / n of shape (d, d), ``moment`` A^T b / n of shape (d,) and ``target_power``
    b^T b / n, which only shifts ``value``: descent never needs A or b themselves.
    Raises ValueError for shapes that do not match, numbers that are not finite and
    regularisation <= 0. Source: paper, experiments (ridge experiment).

    >>> Ridge(np.eye(2), np.ones(2), regularisation=1.0).minimiser
    array([0.5, 0.5])
    """

    gram: Array
    moment: Array
    regularisation: float
    target_power: float = 0.0

    def __post_init__(self) -> None:
        check_array("gram", self.gram, dimensions=2)
        check_array("moment", self.moment, dimensions=1)
        if self.gram.shape != 2 * self.moment.shape:
            raise ValueError(
                f"gram must be a square matrix of the moment's length {self.moment.size}, "
                f"got shape {self.gram.shape}"
            )
        _check_regularisation(self.regularisation)

    @classmethod
    def from_moments(
        cls,
        gram: Array,
        moment: Array,
        n: int,
        target_power: float = 0.0,
    ) -> Ridge:
        """Ridge regression with the paper's weight, regularisation = lambda_max(A^T A) / n^2.

        That makes kappa nearly n + 1. The poster does not print the weight: it is calibrated to
        the published curve of gradient descent.
        """
        return cls(gram, moment, float(np.linalg.eigvalsh(gram)[-1]) / n, target_power)

    @classmethod
    def from_data(cls, features: Array, target: Array) -> Ridge:
        """The same from ``features`` A of shape (n, d) and ``target`` b of shape (n,)."""
        check_samples(features, target)
        n = len(target)
        gram, moment = features.T @ features / n, features.T @ target / n
        return cls.from_moments(gram, moment, n, float(target @ target) / n)

    @property
    def d(self) -> int:
        return self.moment.size

    @cached_property
    def _spectrum(self) -> NDArray[np.floating]:
        return np.linalg.eigvalsh(self.gram) + self.regularisation

    @property
    def L(self) -> float:
        return float(self._spectrum[-1])

    @property
    def mu(self) -> float:
        return float(self._spectrum[0])

    @cached_property
    def minimiser(self) -> Array:
        hessian = self.gram + self.regularisation * np.eye(self.d)
        return np.asarray(np.linalg.solve(hessian, self.moment), np.float64)

    def value(self, x: Array) -> Array:
        quadratic = np.sum(x * (x @ self.gram + self.regularisation * x), axis=-1)
        return quadratic / 2 - x @ self.moment + self.target_power / 2

    def gradient(self, x: Array) -> Array:
        return x @ self.gram + self.regularisation * x - self.moment


@dataclass(frozen=True, eq=False)
class Logistic(Problem):
    """Logistic regression, f(x) = mean log(1 + exp(-b_i a_i^T x)) + regularisation / 2 ||x||^2.

    ``features`` has the rows a_i, shape (n, d); ``labels`` the b_i, each -1 or 1, shape (n,).
    L = lambda_max(A^T A) / (4n) + regularisation and mu = regularisation bound every Hessian.
    Raises ValueError for other labels, shapes that do not match, numbers that are not finite and
    regularisation <= 0. Source: paper, experiments (logistic experiment; weight 0.01 calibrated).

    >>> float(Logistic(np.array([[1.0], [-1.0]]), np.array([1.0, 1.0])).minimiser[0])
    0.0
    """

    features: Array
    labels: Array
    regularisation: float = 0.01

    def __post_init__(self) -> None:
        check_samples(self.features, self.labels)
        if not np.isin(self.labels, (-1, 1)).all():
            raise ValueError(f"labels must be -1 or 1, got {np.unique(self.labels)[:5]}")
        _check_regularisation(self.regularisation)

    @property
    def d(self) -> int:
        return self.features.shape[1]

    @cached_property
    def _signed(self) -> Array:
        return self.labels[:, None] * self.features

    @cached_property
    def L(self) -> float:
        spectral_norm = np.linalg.norm(self.features, ord=2)
        return float(spectral_norm**2 / (4 * len(self.labels)) + self.regularisation)

    @property
    def mu(self) -> float:
        return self.regularisation

    @cached_property
    def minimiser(self) -> Array:
        """By Newton's method, halving each step until the gradient's norm falls.

        The norm, not the value, is the judge: near x* the value is flat to rounding while the
        gradient still has eight digits to lose. When no halving helps, rounding is reached.
        """
        x = np.zeros(self.d)
        gradient = self.gradient(x)
        for _ in range(100):
            direction = np.linalg.solve(self.hessian(x), gradient)
            for step in 0.5 ** np.arange(30):
                trial = x - step * direction
                trial_gradient = self.gradient(trial)
                if np.linalg.norm(trial_gradient) < np.linalg.norm(gradient):
                    x, gradient = trial, trial_gradient
                    break
            else:
                break
        return x

    def hessian(self, x: Array) -> Array:
        """The matrix of second derivatives at one point x of shape (d,)."""
        margins = self._signed @ x
        curvature = expit(margins) * expit(-margins) / len(self.labels)
        weighted = self.features.T * curvature
        return weighted @ self.features + self.regularisation * np.eye(self.d)

    def value(self, x: Array) -> Array:
        # logaddexp(0, -m) = log(1 + exp(-m)) without overflow at a large negative margin m.
        losses = np.logaddexp(0, -(x @ self._signed.T))
        return losses.mean(axis=-1) + self.regularisation / 2 * np.sum(x * x, axis=-1)

    def gradient(self, x: Array) -> Array:
        pulls = expit(-(x @ self._signed.T))
        return self.regularisation * x - pulls @ self._signed / len(self.labels)


def check_array(name: str, array: Array, dimensions: int) -> None:
    """Refuse what is not a finite, non-empty float64 array of that many dimensions."""
    if getattr(array, "dtype", None) != np.float64:
        raise TypeError(
            f"{name} must be a float64 array, got {getattr(array, 'dtype', type(array))}"
        )
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name} must be {dimensions}-d and not empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")


def check_samples(features: Array, target: Array) -> None:
    """Refuse a table of samples whose target has another number of them."""
    check_array("features", features, dimensions=2)
    check_array("target", target, dimensions=1)
    if len(features) != len(target):
        raise ValueError(f"features has {len(features)} rows but target has {len(target)}")


def _check_regularisation(regularisation: float) -> None:
    if not 0 < regularisation < np.inf:
        raise ValueError(f"regularisation must be positive and finite, got {regularisation}")
