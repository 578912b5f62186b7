"""The step and the Lagrange multiplier at which a trellis just meets alpha.

A path minimises error + multiplier * bits. On a normal vector the best multiplier is that of the
rate-distortion function, -dD/dR = 2 ln 2 D, and less at low rates; the step is then what the error
asks for. Both are tried and measured, until the error is just below alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...numerics import norms
from ..step_search import find_step, sample_of
from .short import Defeated, tune_short
from .viterbi import CLASSES, LANES, RATES, Trellis, measure, search

LANES_DIM = 1 << 14
"""From this many coordinates on they are dealt out to 64 lanes; below they are one sequence."""

_LARGEST = 2**30 - 2  # of a level in magnitude, so that its integer 2 k + 1 fits too
_COARSE = 0.06  # the step brings the error into this window around alpha, the multiplier further
_TRIES, _TIGHT = 12, 0.0015  # of multipliers; few, as none fits a vector of few values
_ROUNDS, _SPAN = 5, 8.0  # of the search for short vectors: steps from 1/8 to 8 times, then closer


@dataclass
class Path:
    """A path through the trellis and its measures: ``inner`` is <x, n>, ``squared`` ||n||^2.

    ``integers`` are the n of all coordinates; ``counts`` (CLASSES x RATES) tells how often each
    class met each |n|.
    """

    integers: NDArray[np.int32]
    counts: NDArray[np.int64]
    inner: float
    squared: float

    @property
    def explained(self) -> float:
        """<x, n>^2 / ||n||^2: what the best scale takes off ||x||^2, if it is positive.

        Where bits are dear against error, all n may have the cheapest level, with the wrong sign.
        """
        return self.inner**2 / self.squared if self.inner > 0 else 0.0

    @property
    def scale(self) -> float:
        """The best scale, <x, n> / ||n||^2."""
        return self.inner / self.squared if self.squared else 0.0


def tune(
    x: NDArray[Any], energy: float, alpha: float, trellis: Trellis, near: float | None
) -> tuple[float, Path]:
    """A path whose error is at most alpha and, for long vectors, not far below; and its step.

    ``energy`` is ||x||^2, ``near`` a step to start from. Raises ValueError where no step reaches
    alpha.
    """
    if x.size < LANES_DIM:
        ratio = 1.15 * _normal_multiplier(alpha) / (3.4 * alpha)
        try:
            step, one = tune_short(x, energy, alpha, trellis.before.shape[0], near, ratio)
            return step, Path(one.integers, one.counts, one.inner, one.squared)
        except Defeated:  # by a vector that a wider search is made for
            pass
    variance = energy / x.size
    step = near or math.sqrt(3.4 * alpha * variance)
    rates = _normal_rates(step / math.sqrt(variance))
    multiplier = _normal_multiplier(alpha) * energy / x.size
    if x.size < LANES_DIM:
        return _tune_short(_Search(x, trellis, rates, True), energy, alpha, step, multiplier)
    part = sample_of(x)
    sample = _LongSearch(part, energy * part.size / x.size, trellis, rates)
    step = sample.find_step(alpha, step, multiplier, tries=10) or step
    whole = _LongSearch(x, energy, trellis, sample.rates)
    return _tune_long(whole, sample, alpha, step, multiplier)


def _tune_long(
    whole: _LongSearch, sample: _LongSearch, alpha: float, step: float, multiplier: float
) -> tuple[float, Path]:
    """First the step, until the error is near alpha, then the multiplier."""
    step, top = min(step, 2 * whole.peak), min(alpha * (1 + _COARSE / 2), (1 + alpha) / 2)
    step = whole.find_step(top, step, multiplier, tight=_COARSE) or step
    power = sample.power(step, multiplier)
    factor = find_step(
        lambda t: whole.error(step, multiplier * t**power), alpha, 1.0, _TRIES, _TIGHT
    )
    if factor:
        whole.error(step, multiplier * factor**power)
        return step, whole.path()
    # No multiplier tried is low enough. At one ~ step**2 the error in steps is bounded: that ends.
    ratio = multiplier / step**2
    step = find_step(lambda s: whole.error(s, ratio * s**2), alpha, step / 2)
    if not step:
        raise ValueError(f"no step brings the error to {alpha} at d = {whole.x.size}; raise alpha")
    whole.error(step, ratio * step**2)
    return step, whole.path()


def _tune_short(
    search: _Search, energy: float, alpha: float, step: float, multiplier: float
) -> tuple[float, Path]:
    """64 steps and multipliers side by side, ever closer around the cheapest that meets alpha."""
    lane = np.arange(LANES)
    spread, factor = (lane // 4 - 7.5) / 7.5, np.array([0.5, 0.8, 1.2, 1.8])[lane % 4]
    best: Path | None = None
    fewest, span, rounds = math.inf, _SPAN, _ROUNDS
    while rounds or best is None:
        steps = step * span**spread
        search.run(steps, multiplier * factor)
        inner = np.maximum(search.inner, 0)
        error = 1 - inner**2 / np.maximum(search.squared, 1) / energy
        bits = np.where(error <= alpha, _entropies(search.counts), math.inf)
        found = int(np.argmin(bits))
        if bits[found] == math.inf and best is None:
            step, multiplier = step / span, multiplier / span**2  # no such step was fine enough
            continue
        if bits[found] < fewest:
            best, fewest, step = search.lane(found), bits[found], steps[found]
            search.learn(best.counts)
        span, rounds = span**0.4, rounds - 1
    return step, best


class _Search:
    """Paths for one vector, dealt out to the lanes or ``shared`` by them all."""

    def __init__(
        self, x: NDArray[Any], trellis: Trellis, rates: NDArray[np.float64], shared: bool = False
    ) -> None:
        self.x, self.trellis, self.rates, self.shared = x, trellis, rates, shared
        self.peak = norms.peak(x)
        stages = x.size if shared else -(-x.size // LANES)
        self.integers = np.empty(stages * LANES, np.int32)
        self.inner, self.squared = np.empty((2, LANES))
        self.counts = np.empty((LANES, CLASSES, RATES), np.int64)

    def run(self, steps: NDArray[np.floating], multipliers: NDArray[np.floating]) -> None:
        """Find and measure the paths for a step and a multiplier in each lane."""
        if self.peak >= _LARGEST * steps.min():
            raise ValueError(f"a level would exceed 2**30 at d = {self.x.size}; raise alpha")
        narrow = self.peak < 2.0**20 * steps.min()  # float32 still tells neighbours apart
        weight = np.clip(steps * steps / multipliers, 1e-9, 1e9)  # beyond, one term rules
        dtype = np.float32 if narrow else np.float64
        costs = [a.astype(dtype) for a in (1 / steps, weight, self.rates)]
        search(self.x, *costs, self.trellis, self.shared, self.counts, self.integers)
        measure(self.x, self.integers, self.shared, self.inner, self.squared)

    def learn(self, counts: NDArray[np.int64]) -> None:
        """Take the rates of a class x |n| table of counts, smoothed."""
        seen = counts + 0.1
        self.rates = np.log2(seen.sum(axis=1, keepdims=True) / seen)
        self.rates[:, 1:] += 1  # the sign

    def lane(self, lane: int) -> Path:
        """The path of one lane, where each has all of x."""
        integers, counts = self.integers[lane::LANES].copy(), self.counts[lane].copy()
        return Path(integers, counts, float(self.inner[lane]), float(self.squared[lane]))


class _LongSearch(_Search):
    """One path, whose coordinates are dealt out to the lanes; errors are relative to ``energy``."""

    def __init__(
        self, x: NDArray[Any], energy: float, trellis: Trellis, rates: NDArray[np.float64]
    ) -> None:
        super().__init__(x, trellis, rates)
        self.own_energy, self.energy = norms.sum_of_squares(x), energy
        self.last: tuple[float, float] | None = None
        self.last_error = 1.0

    def error(self, step: float, multiplier: float, learns: bool = False) -> float:
        """Error of the path for this step and multiplier; ``learns`` rates from the path before.

        What the last path taught is not used until the next: its error stays true for its rates.
        """
        if self.last != (step, multiplier):
            if learns and self.last:
                self.learn(self.counts.sum(axis=0))
            self.run(np.full(LANES, step), np.full(LANES, multiplier))
            self.last = step, multiplier
            self.last_error = (self.own_energy - self.path().explained) / self.energy
        return self.last_error

    def find_step(self, alpha: float, start: float, multiplier: float, **limits: Any) -> float:
        """``step_search.find_step`` at this multiplier, learning the rates on its way."""
        return find_step(
            lambda step: self.error(step, multiplier, learns=True), alpha, start, **limits
        )

    def power(self, step: float, multiplier: float) -> float:
        """p such that at multiplier * t**p the error goes about as t**2, as with the step."""
        more, here = self.error(step, 1.2 * multiplier), self.error(step, multiplier)
        ratio = max(more, 1e-300) / max(here, 1e-300)
        return min(max(2 * math.log(1.2) / max(math.log(ratio), 1e-3), 1.0), 24.0)

    def path(self) -> Path:
        """The path found last."""
        inner, squared = float(self.inner.sum()), float(self.squared.sum())
        return Path(self.integers[: self.x.size], self.counts.sum(axis=0), inner, squared)


def _normal_multiplier(alpha: float) -> float:
    """That of the rate-distortion function at variance 1, times what was best on normal vectors."""
    return 2 * math.log(2) * alpha * min(0.95, 1.55 - 1.15 * alpha)


def _normal_rates(step: float) -> NDArray[np.float64]:
    """Bits of n given its class on a normal vector of unit variance, at most 24."""
    n = np.arange(RATES)
    weights = np.exp(-((n * step) ** 2) / 2) * np.array([n % 2 == 0, n % 2 == 0, n % 2 == 1])
    totals = 2 * weights.sum(axis=1, keepdims=True) - weights[:, :1]
    return np.minimum(-np.log2(np.maximum(weights / totals, 2.0**-24)), 24)


def _entropies(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Empirical entropy of each lane's levels, in bits, a sign for each non-zero one."""
    shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    bits = -(counts * np.log2(np.where(counts, shares, 1))).sum(axis=(1, 2))
    return bits + counts[:, :, 1:].sum(axis=(1, 2))
