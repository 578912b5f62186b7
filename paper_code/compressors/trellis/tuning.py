"""The step and the slope at which a trellis just meets alpha: tried, measured, tried again.

The search minimises error + slope * bits. On a normal vector the best slope is that of the bound,
-dD/dR = 2 ln 2 D, and less at low rates; the step is then what the error asks for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...numerics import norms
from ..step_search import find_step, sample_of
from .viterbi import CLASSES, LANES, RATES, Machine, measure, search

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
        self.peak = norms.peak(x)
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


LANES_DIM = 1 << 14
"""From this many coordinates on they are dealt out to 64 lanes; below they are one sequence."""

_COARSE = 0.06  # the step brings the error into this window around alpha, the slope does the rest
_TRIES, _TIGHT = 12, 0.0015  # for the slope; few, as where no slope fits a vector of few values
_ROUNDS, _SPAN = 5, 8.0  # of the search for short vectors: steps from 1/8 to 8 times, then closer


def slope_for(alpha: float) -> float:
    """slope / (||x||^2 / d): that of the bound, times what was best on normal vectors."""
    return 2 * math.log(2) * alpha * min(0.95, 1.55 - 1.15 * alpha)


def tune(
    x: NDArray[Any], energy: float, alpha: float, trellis: Machine, near: float | None
) -> tuple[float, Path]:
    """A path whose error is at most alpha and, for long vectors, not far below; and its step.

    ``near`` is a step to start from. Raises ValueError where no step reaches alpha.
    """
    variance = energy / x.size
    step = near or math.sqrt(3.4 * alpha * variance)
    rates = normal_rates(step / math.sqrt(variance))
    if x.size < LANES_DIM:
        return _tune_short(x, energy, alpha, Tries(x, trellis, rates, True), step)
    return _tune_long(x, energy, alpha, trellis, rates, step)


def _tune_long(
    x: NDArray[Any],
    energy: float,
    alpha: float,
    trellis: Machine,
    rates: NDArray[np.float64],
    step: float,
) -> tuple[float, Path]:
    """Step and rates from a sample, then the step on the whole, then the slope."""
    slope = slope_for(alpha) * energy / x.size
    part = sample_of(x)
    sample = _Whole(part, energy * part.size / x.size, trellis, rates)
    step = find_step(lambda s: sample.error(s, slope, learns=True), alpha, step, tries=10) or step
    whole = _Whole(x, energy, trellis, sample.rates)
    step, top = min(step, 2 * whole.peak), min(alpha * (1 + _COARSE / 2), (1 + alpha) / 2)
    step = find_step(lambda s: whole.error(s, slope, learns=True), top, step, tight=_COARSE) or step
    power = sample.power(step, slope)
    tilt = find_step(lambda t: whole.error(step, slope * t**power), alpha, 1.0, _TRIES, _TIGHT)
    if tilt:
        whole.error(step, slope * tilt**power)
        return step, whole.path()
    # No slope tried is low enough. With slope ~ step**2 the error in steps is bounded: that ends.
    pull = slope / step**2
    step = find_step(lambda s: whole.error(s, pull * s**2), alpha, step / 2)
    if not step:
        raise ValueError(f"no step brings the error to {alpha} at d = {x.size}; raise alpha")
    whole.error(step, pull * step**2)
    return step, whole.path()


class _Whole(Tries):
    """One path through all lanes; the error is relative to ``energy``."""

    def __init__(
        self, x: NDArray[Any], energy: float, trellis: Machine, rates: NDArray[np.float64]
    ) -> None:
        super().__init__(x, trellis, rates)
        self.own_energy, self.energy = norms.sum_of_squares(x), energy
        self.last: tuple[float, float] | None = None
        self.last_error = 1.0

    def error(self, step: float, slope: float, learns: bool = False) -> float:
        """Error of the path for this step and slope; ``learns`` from the path before, if any.

        What the last try taught is not used until the next: its error stays true for its rates.
        """
        if self.last != (step, slope):
            if learns and self.last:
                self.learn(self.counts.sum(axis=0))
            self.run(np.full(LANES, step), np.full(LANES, slope))
            self.last, path = (step, slope), self.path()
            explained = path.cross**2 / path.own if path.own else 0.0
            self.last_error = (self.own_energy - explained) / self.energy
        return self.last_error

    def power(self, step: float, slope: float) -> float:
        """p such that at slope * t**p the error goes about as t**2, as it does with the step."""
        ratio = max(self.error(step, 1.2 * slope), 1e-300) / max(self.error(step, slope), 1e-300)
        return min(max(2 * math.log(1.2) / max(math.log(ratio), 1e-3), 1.0), 24.0)

    def path(self) -> Path:
        """The path found last."""
        cross, own = float(self.cross.sum()), float(self.own.sum())
        counts = self.counts.sum(axis=0)
        return Path(self.integers[: self.x.size], counts, cross, own, self.own_energy)


def _tune_short(
    x: NDArray[Any], energy: float, alpha: float, tries: Tries, step: float
) -> tuple[float, Path]:
    """64 steps and slopes side by side, ever closer around the cheapest that meets alpha."""
    lane = np.arange(LANES)
    spread, factor = (lane // 4 - 7.5) / 7.5, np.array([0.5, 0.8, 1.2, 1.8])[lane % 4]
    slope = slope_for(alpha) * energy / x.size
    best, fewest, span, rounds = None, math.inf, _SPAN, _ROUNDS
    while rounds:
        steps = step * span**spread
        tries.run(steps, slope * factor)
        error = 1 - tries.cross**2 / np.maximum(tries.own, 1) / energy
        bits = np.where(error <= alpha, _entropies(tries.counts), math.inf)
        found = int(np.argmin(bits))
        if bits[found] == math.inf and best is None:
            step, slope = step / span, slope / span**2  # no such step was fine enough
            continue
        if bits[found] < fewest:
            best, fewest, step = _lane(tries, found, energy), bits[found], steps[found]
            tries.learn(tries.counts[found])
        span, rounds = span**0.4, rounds - 1
    return step, best


def _lane(tries: Tries, lane: int, energy: float) -> Path:
    integers, counts = tries.integers[lane::LANES].copy(), tries.counts[lane].copy()
    return Path(integers, counts, float(tries.cross[lane]), float(tries.own[lane]), energy)


def _entropies(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Empirical entropy of each lane's levels, in bits, a sign for each non-zero one."""
    shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    bits = -(counts * np.log2(np.where(counts, shares, 1))).sum(axis=(1, 2))
    return bits + counts[:, :, 1:].sum(axis=(1, 2))
