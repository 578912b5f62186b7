"""One trial: quantise a vector along its best path at given steps, and measure the path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .trellis_paths import measure
from .trellis_search import Machine, search
from .trellis_steps import CLASSES, LANES, RATES

_LARGEST = 2**30 - 2  # of a level in magnitude, so that its integer 2 k + 1 fits too


@dataclass
class Path:
    """A path through the trellis that was measured: its integers n, and <x, n>, ||n||^2.

    ``counts`` (CLASSES x RATES) tells how often each class met each |n|.
    """

    integers: NDArray[np.int32]
    counts: NDArray[np.int64]
    cross: float
    own: float
    energy: float

    @property
    def error(self) -> float:
        """||c n - x||^2 / ||x||^2 at the best scale c."""
        return 1 - self.cross**2 / self.own / self.energy if self.own else 1.0

    @property
    def scale(self) -> float:
        """c = <x, n> / ||n||^2."""
        return self.cross / self.own if self.own else 0.0


class Tries:
    """Paths for one vector, dealt out to the lanes or ``shared`` by them all.

    The rates are learned from the path before.
    """

    def __init__(
        self, x: NDArray[Any], trellis: Machine, rates: NDArray[np.float64], shared: bool = False
    ) -> None:
        self.x, self.trellis, self.rates, self.shared = x, trellis, rates, shared
        self.peak = kernels.peak(x)
        steps = x.size if shared else -(-x.size // LANES)
        self.integers = np.empty(steps * LANES, np.int32)
        self.cross, self.own = np.empty((2, LANES))
        self.counts = np.empty((LANES, CLASSES, RATES), np.int64)

    def run(self, steps: NDArray[np.float64], slope: NDArray[np.float64]) -> None:
        """Find and measure the paths for a step and a slope in each lane."""
        if self.peak >= _LARGEST * steps.min():
            raise ValueError(f"a level would exceed 2**30 at d = {self.x.size}; raise alpha")
        narrow = self.peak < 2.0**20 * steps.min()  # float32 still tells neighbours apart
        weight = np.clip(steps * steps / slope, 1e-9, 1e9)  # beyond, one term rules
        dtype = np.float32 if narrow else np.float64
        inverse, weight, rates = (a.astype(dtype) for a in (1 / steps, weight, self.rates))
        search(
            self.x, inverse, weight, rates, self.trellis, self.shared, self.counts, self.integers
        )
        measure(self.x, self.integers, self.shared, self.cross, self.own)

    def learn(self, counts: NDArray[np.int64]) -> None:
        """Take the rates of a class x |n| table of counts, smoothed."""
        seen = counts + 0.1
        self.rates = np.log2(seen.sum(axis=1, keepdims=True) / seen)
        self.rates[:, 1:] += 1  # the sign


def normal_rates(step: float) -> NDArray[np.float64]:
    """Bits of n given its class on a normal vector of unit variance, at most 24."""
    n = np.arange(RATES)
    weights = np.exp(-((n * step) ** 2) / 2) * np.array([n % 2 == 0, n % 2 == 0, n % 2 == 1])
    totals = 2 * weights.sum(axis=1, keepdims=True) - weights[:, :1]
    return np.minimum(-np.log2(np.maximum(weights / totals, 2.0**-24)), 24)
