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

from . import kernels
from .steps import find_step, sample_of
from .trellis_paths import measure
from .trellis_search import CLASSES, LANES, RATES, Machine, search

LANES_DIM = 1 << 14
"""From this many coordinates on they are dealt out to 64 lanes; below they are one sequence."""

_LARGEST = 2**30 - 2  # of a level in magnitude, so that its integer 2 k + 1 fits too
_COARSE = 0.06  # the step brings the error into this window around alpha, the slope does the rest
_POWER = 12  # slope ~ t**12, so that the error goes about as t**2, as it does with a step
_ROUNDS, _SPAN = 5, 8.0  # of the search for short vectors: steps from 1/8 to 8 times, then closer


@dataclass
class Path:
    """A path through the trellis that was measured: its levels, and <x, n>, ||n||^2."""

    levels: NDArray[np.int32]
    sizes: NDArray[np.int64]
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
    """Paths for one vector laid out in lanes; the rates are learned from the path before."""

    def __init__(self, x: NDArray[Any], trellis: Machine, rates: NDArray[np.float64]) -> None:
        self.x, self.trellis, self.rates = x, trellis, rates
        self.peak = kernels.peak(x)
        self.levels = np.zeros(-(-x.size // LANES) * LANES, np.int32)
        self.cross, self.own = np.empty((2, LANES))
        self.counts = np.empty((LANES, CLASSES, RATES), np.int64)

    def run(self, steps: NDArray[np.float64], slope: NDArray[np.float64]) -> None:
        """Find and measure the paths for a step and a slope in each lane."""
        if self.peak >= _LARGEST * steps.min():
            raise ValueError(f"a level would exceed 2**30 at d = {self.x.size}; raise alpha")
        narrow = self.peak < 2.0**20 * steps.min()  # float32 still tells neighbours apart
        y = np.zeros(self.levels.size, np.float32 if narrow else np.float64)
        whole, inverse = self.x.size // LANES * LANES, (1 / steps).astype(y.dtype)
        y[:whole].reshape(-1, LANES)[:] = self.x[:whole].reshape(-1, LANES) * inverse
        y[whole : self.x.size] = self.x[whole:] * inverse[: self.x.size - whole]
        weight = (steps * steps / slope).astype(y.dtype)
        search(y, weight, self.rates.astype(y.dtype), self.trellis, self.levels)
        measure(self.x, self.levels, self.trellis, self.cross, self.own, self.counts)

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
        return _tune_short(x, energy, alpha, Tries(np.repeat(x, LANES), trellis, rates), step)
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
    step, top = min(step, 2 * whole.peak), alpha * (1 + _COARSE / 2)
    step = find_step(lambda s: whole.error(s, slope, learns=True), top, step, tight=_COARSE) or step
    power = find_step(lambda t: whole.error(step, slope * t**_POWER), alpha, 1.0)
    if not power:  # even the least slope leaves too much error: a finer step, whatever it costs
        step = find_step(lambda s: whole.error(s, slope), alpha, step / 2)
        if not step:
            raise ValueError(f"no step brings the error to {alpha} at d = {x.size}; raise alpha")
    whole.error(step, slope * power**_POWER if power else slope)
    return step, whole.path()


class _Whole(Tries):
    """One path through all lanes; the error is relative to ``energy``."""

    def __init__(
        self, x: NDArray[Any], energy: float, trellis: Machine, rates: NDArray[np.float64]
    ) -> None:
        super().__init__(x, trellis, rates)
        self.own_energy, self.energy = kernels.sum_of_squares(x), energy
        self.last: tuple[float, float] | None = None
        self.last_error = 1.0

    def error(self, step: float, slope: float, learns: bool = False) -> float:
        """Error of the path for this step and slope, as of the rates known before."""
        if self.last != (step, slope):
            self.run(np.full(LANES, step), np.full(LANES, slope))
            self.last, path = (step, slope), self.path()
            explained = path.cross**2 / path.own if path.own else 0.0
            self.last_error = (self.own_energy - explained) / self.energy
            if learns:
                self.learn(self.counts.sum(axis=0))
        return self.last_error

    def path(self) -> Path:
        """The path found last."""
        cross, own = float(self.cross.sum()), float(self.own.sum())
        sizes = self.counts.sum(axis=(0, 2))
        return Path(self.levels[: self.x.size], sizes, cross, own, self.own_energy)


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
        lane_found = int(np.argmin(bits))
        if bits[lane_found] == math.inf and best is None:
            step /= span  # a vector of huge range: no such step was fine enough
            continue
        if bits[lane_found] < fewest:
            best, fewest, step = (
                _lane(tries, lane_found, energy),
                bits[lane_found],
                steps[lane_found],
            )
        tries.learn(tries.counts[lane_found])
        span, rounds = span**0.4, rounds - 1
    return step, best


def _lane(tries: Tries, lane: int, energy: float) -> Path:
    levels, sizes = tries.levels[lane::LANES].copy(), tries.counts[lane].sum(axis=1)
    return Path(levels, sizes, float(tries.cross[lane]), float(tries.own[lane]), energy)


def _entropies(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Empirical entropy of each lane's levels, in bits, a sign for each non-zero one."""
    shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    bits = -(counts * np.log2(np.where(counts, shares, 1))).sum(axis=(1, 2))
    return bits + counts[:, :, 1:].sum(axis=(1, 2))
