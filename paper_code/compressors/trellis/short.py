"""Short vectors: one path, searched in overlapping windows, at several step sizes side by side.

The 64 lanes of ``Search`` are windows x candidates. A window begins ``warm`` coordinates before its
part, in any state: by then its survivors are those of the whole. Paths are traced from the last
window to the first, each from the state that the path behind it needs, so that together they are
one path through the trellis, and nearly the best.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...numerics import norms
from ...numerics.compiled import ONE, kernel
from ...numerics.simd import LANES
from .search import NEVER, ROWS, UNIT, Search
from .viterbi import CLASSES, RATES

_LARGEST = 1 << 20
"""Of |n|: float32 tells neighbours apart well beyond."""

_SPANS = (0.1, 0.03, 0.006, 0.002), (0.1, 0.03, 0.004)
"""How far from the middle steps are tried, in logarithms: search after search, once error is near
alpha. More candidates than ``_MANY`` need a search less."""
_MANY = 4
_LESSONS = 2  # searches that teach their rates to the next
_TRIES, _MORE = 10, 2
"""Searches at most, and those beyond one a span for a path whose error is near alpha."""

_DEAD = 0.2
"""Of two integers for x / step that much more goes to the smaller one, to begin with."""

_LOOSE, _LOOSE_FEW = 0.03, 10
"""ln(alpha / error) is at most the first, plus the second over the number of n that are not 0; the
error is near alpha within a third of that."""

_FEW, _WIDE = 100, (0.6, 0.3, 0.1, 0.03)
"""Where fewer n than that are not 0, more steps are tried so far from the best."""

_MOST_OF_IT = 0.8  # of all n that are not 0, if those seen twice are to tell their rates
_MODEL_BITS = 2.0  # for each |n| that occurs, unless x is so short that a shape is always cheaper


def windows_of(d: int) -> int:
    """Windows that x is cut into; the rest of the 64 lanes are candidates."""
    return 1 if d < 256 else 4 if d < 512 else 8 if d < 2048 else 16 if d < 8192 else 32


class Candidate(NamedTuple):
    """A path's integers, its counts by class and |n|, <x, n> and ||n||^2."""

    integers: NDArray[np.int32]
    counts: NDArray[np.int64]
    inner: float
    squared: float


class ShortSearch:
    """The paths of x for several step sizes at a time."""

    def __init__(self, x: NDArray[Any], states: int) -> None:
        self.x, self.states, self.windows = x, states, windows_of(x.size)
        self.warm = 16 * (states.bit_length() - 1) if self.windows > 1 else 0
        self.part = -(-(x.size - self.warm) // self.windows)
        steps, self.candidates = self.part + self.warm, LANES // self.windows
        self.search = Search(states, steps)
        self.y = np.empty(steps * LANES, np.float32)
        _spread(x, self.windows, self.part, self.y)
        self.branches = np.empty((self.candidates, x.size), np.uint8)
        self.integers = np.empty((self.candidates, x.size), np.int32)
        self.counts = np.empty((self.candidates, CLASSES, RATES), np.int64)
        self.sums = np.empty((self.candidates, 4))  # <x, n>, ||n||^2, bits, how many n are not 0
        self.inverse, self.weight = np.empty((2, LANES), np.float32)
        self.rates, self.start = np.empty(ROWS * LANES, np.float32), np.zeros(LANES, np.uint32)
        self.start[np.arange(LANES) % self.windows > 0] = states  # any

    def run(self, steps: NDArray[np.float64], ratio: float, rates: NDArray[np.float32]) -> None:
        """Find and measure the path of each candidate; ``ratio`` is the multiplier over step^2."""
        search, shape = self.search, (self.windows, self.part, self.warm)
        _for_lanes(steps, UNIT / ratio, rates, self.inverse, self.weight, self.rates)
        search.run(self.y, self.inverse, self.weight, self.rates, self.start)
        _trace(search.metric, search.took, *search.taps, self.states, *shape, self.branches)
        model = _MODEL_BITS if self.windows > 1 else 0.0
        _quantise(self.x, self.branches, self.inverse, self.integers, self.counts, self.sums, model)

    def candidate(self, j: int) -> Candidate:
        """A copy of one of the paths found last."""
        inner, squared = self.sums[j, :2].tolist()
        return Candidate(self.integers[j].copy(), self.counts[j].copy(), inner, squared)


class _Tuning:
    """Tries step sizes, and keeps the path of fewest bits whose error is alpha or a bit less."""

    def __init__(
        self, x: NDArray[Any], energy: float, alpha: float, states: int, ratio: float
    ) -> None:
        self.search, self.peak = ShortSearch(x, states), norms.peak(x)
        self.energy, self.alpha, self.ratio = energy, alpha, ratio
        self.spread = np.linspace(-1, 0.6, self.search.candidates)
        self.rates = np.empty(ROWS, np.float32)
        self.best: tuple[float, Candidate] | None = None
        self.fewest, self.used, self.near = math.inf, 0.0, False

    def try_steps(self, step: float, span: float) -> list[float]:
        """ln(error / alpha) of steps up to ``span`` from this one, in logarithms."""
        steps = step * np.exp(span * self.spread)
        if self.peak >= _LARGEST * steps[0]:
            raise Defeated
        self.search.run(steps, self.ratio, self.rates)
        sums, logs = self.search.sums.tolist(), []
        for j, (inner, squared, bits, used) in enumerate(sums):
            error = 1 - inner**2 / squared / self.energy if inner > 0 else 1.0
            logs.append(math.log(max(error, 1e-15) / self.alpha))
            lowest = -_LOOSE - _LOOSE_FEW / max(used, 1)
            if lowest <= logs[j] <= 0 and bits < self.fewest:
                self.fewest, self.used, self.near = bits, used, logs[j] >= lowest / 3
                self.best = float(steps[j]), self.search.candidate(j)
        return logs

    def learn(self, j: int) -> None:
        """Take the rates that candidate j has found."""
        learned_rates(self.search.counts[j], self.rates)


class Defeated(Exception):
    """No path near alpha was found, or the best may be far from that of a normal vector."""


def tune_short(
    x: NDArray[Any], energy: float, alpha: float, states: int, near: float | None, ratio: float
) -> tuple[float, Candidate]:
    """A step and a path whose error is alpha at most, and not far below.

    ``energy`` is ||x||^2, ``near`` a step to begin with, ``ratio`` the Lagrange multiplier over the
    step's square. Raises Defeated.
    """
    if _alike(x, energy):
        raise Defeated
    tuning, done = _Tuning(x, energy, alpha, states, ratio), 0
    spans = _SPANS[tuning.search.candidates > _MANY]
    step = near or math.sqrt(3.5 * alpha * energy / x.size)
    slope = move = 0.0
    rounded_rates(x, step, tuning.rates)
    for tries in range(1, _TRIES + 1):
        logs, moves = tuning.try_steps(step, spans[done]), spans[done] * tuning.spread
        if tuning.best and tries >= len(spans) + (0 if tuning.near else _MORE):
            break
        slope, before = slope or _slope(logs, moves), move
        nearest, move = _crossing(logs, moves, slope)
        if move * before < 0:  # the last move went too far
            slope, move = 1.5 * slope, move / 1.5
        if abs(move) < 3 * spans[done]:
            done = min(done + 1, len(spans) - 1)
        if done <= _LESSONS:
            tuning.learn(nearest)
        step *= math.exp(min(max(move, -0.7), 0.7))
    # of few n the error jumps, and any step may be lucky; one window has had candidates enough
    if tuning.best and tuning.used < _FEW and tuning.search.windows > 1:
        for span in _WIDE:
            tuning.try_steps(tuning.best[0], span)
    if not tuning.best:
        raise Defeated
    return tuning.best


def _alike(x: NDArray[Any], energy: float) -> bool:
    """Whether neighbours are, or the same magnitudes come again and again: many paths are good."""
    if abs(float(np.dot(x[1:], x[:-1]))) > energy / 2:
        return True
    sample = np.abs(x[:: max(1, x.size // 64)]).tolist()
    values = [value for value in sample if value]
    return 2 * len(set(values)) < len(values)


def _slope(logs: list[float], moves: NDArray[np.float64]) -> float:
    """Of ln(error) along ln(step): 2 at high rates, about 1 at low ones."""
    return min(max((logs[-1] - logs[0]) / float(moves[-1] - moves[0]), 0.7), 2.0)


def _crossing(logs: list[float], moves: NDArray[np.float64], slope: float) -> tuple[int, float]:
    """The candidate nearest to an error of alpha, and about how far the step is to be moved for it.

    ``logs`` are ln(error / alpha) of steps that were moved by so much, in logarithms. Too large an
    error counts double: next to no n may be left there to learn from.
    """
    nearest = min(range(len(logs)), key=lambda j: max(-logs[j], 2 * logs[j]))
    for j in range(len(logs) - 1):
        if logs[j] <= 0 < logs[j + 1]:
            share = logs[j] / (logs[j] - logs[j + 1])
            return nearest, float(moves[j] + share * (moves[j + 1] - moves[j]))
    return nearest, float(moves[nearest] - logs[nearest] / slope)


@kernel
def _for_lanes(steps, weight, rates, inverse, weights, wide):
    """What ``Search`` is told of each lane."""
    for i in range(LANES):
        inverse[i] = np.float32(1 / steps[i * steps.size // LANES])
        weights[i] = np.float32(min(weight, 1e9))
        for row in range(ROWS):
            wide[row * LANES + i] = rates[row]


@kernel
def _spread(x, windows, part, y):
    """Row t of y are the coordinates t of all windows, once for each candidate."""
    steps = y.size // LANES
    for t in range(steps):
        for i in range(LANES):
            y[t * LANES + i] = x[min((i & (windows - 1)) * part, x.size - steps) + t]


@kernel
def _trace(metric, took, h1, h0, states, windows, part, warm, branches):
    """Back along the best path of each candidate: n modulo 4, plus 4 times the state's class."""
    candidates, d = branches.shape
    state = np.zeros(candidates, np.uint32)
    for j in range(candidates):
        lane = (j + 1) * windows - 1
        for s in range(states):
            if metric[s * LANES + lane] < metric[np.intp(state[j]) * LANES + lane]:
                state[j] = s
    shift, odd_taps, taps, one = np.uint32(0), np.uint32(h0), np.uint32(h1), np.uint32(1)
    while states >> (np.intp(shift) + 1) > 1:
        shift += one
    for window in range(windows - 1, -1, -1):
        first = min(window * part, d - part - warm)  # the last window begins earlier than due
        end = min((window + 1) * part + warm, d)
        for place in range(end - 1, window * part + warm - 1 if window else -1, -1):
            t = place - first
            row = took[t * states : (t + 1) * states]
            for j in range(candidates):
                now, lane = state[j], np.uint64(j * windows + window)
                b = np.uint32(row[now] >> lane & ONE)
                odd = now >> shift
                before = (now ^ (odd_taps & -odd) ^ (taps & -b)) << one | odd
                state[j] = before
                kind = odd + np.uint32(before != 0)
                branches[j, place] = b + b + odd + (kind << np.uint32(2))


@kernel
def _quantise(x, branches, inverse, integers, counts, sums, model):
    """The integers of all paths, their counts by class and |n|, and ``sums``."""
    windows = LANES // integers.shape[0]
    for j in range(integers.shape[0]):
        _quantise_one(x, branches[j], inverse[j * windows], integers[j], counts[j], sums[j], model)


@kernel
def _quantise_one(x, branches, inverse, integers, counts, sums, model):
    quarter, half, four = np.float32(0.25), np.float32(0.5), np.float32(4)
    for i in range(x.size):
        r = np.float32(branches[i] & np.uint8(3))
        v = np.float32(x[i]) * inverse
        integers[i] = np.int32(four * np.floor((v - r) * quarter + half) + r)
    tally, inner, squared = np.zeros((4, 4 * RATES), np.int32), np.zeros(4), np.zeros(4)
    for i in range(x.size):
        n, way = integers[i], i & 3
        kind = np.int32(branches[i] >> np.uint8(2)) * np.int32(RATES)
        tally[way, np.uint32(kind + min(abs(n), np.int32(RATES - 1)))] += np.int32(1)
        inner[way] += np.float64(n) * np.float64(x[i])
        squared[way] += np.float64(n) * np.float64(n)
    bits = 0.0
    for c in range(CLASSES):
        for n in range(RATES):
            k = c * RATES + n
            counts[c, n] = tally[0, k] + tally[1, k] + tally[2, k] + tally[3, k]
        bits += _entropy(counts[c], model)
    sums[0], sums[1], sums[2] = inner.sum(), squared.sum(), bits
    sums[3] = x.size - counts[:, 0].sum()


@kernel
def _entropy(counts, model):
    """Bits of so many |n| under their own shares, their signs, and the model that tells these."""
    total, bits = counts.sum(), 0.0
    for n in range(counts.size):
        if counts[n]:
            bits += counts[n] * (math.log2(total / counts[n]) + (n > 0)) + model
    return bits


@kernel
def rounded_rates(x, step, rates):
    """Rates to begin with: as if each x / step were rounded for itself, at even and odd states."""
    counts, inverse = np.zeros((CLASSES, RATES), np.int64), 1 / step
    for i in range(x.size):
        v = abs(np.float64(x[i])) * inverse
        even = min(2 * np.int64(v / 2 + 0.5 - _DEAD), RATES - 2)
        counts[0, even] += 1
        counts[1, even] += 1
        counts[2, min(2 * np.int64(v / 2) + 1, RATES - 1)] += 1
    learned_rates(counts, rates)


@kernel
def learned_rates(counts, rates):
    """Rates from counted |n|: of 0, and a + b |n| + c n^2 by weighted least squares of their bits.

    State 0 and the other even states begin alike: each has eight |n| more, spread as those of both.
    """
    both = counts[0] + counts[1]
    share, seen = 8 / max(both.sum(), 1), np.empty(RATES)
    for kind in range(CLASSES):
        total, mass, mean = 0.3, 0.1, 0.1
        for n in range(RATES):
            seen[n] = counts[kind, n] + (share * both[n] if kind < 2 else 0.0) + 0.1
            if (n & 1) == kind >> 1:
                total += seen[n]
                mass += seen[n] if n else 0.0
                mean += seen[n] * ((n + 1) >> 1)
        moments, means, used = np.zeros(5), np.zeros(3), 0
        for n in range(2 - kind // 2, RATES, 2):
            if seen[n] < 2 and used >= 2:
                continue
            used += 1
            power, own = seen[n], min(math.log2(total / seen[n]) + 1, 30.0)
            for k in range(5):
                moments[k] += power
                if k < 3:
                    means[k] += power * own
                power *= n
        if moments[0] > _MOST_OF_IT * mass:
            a, b, c = _parabola(moments, means, used)
        else:  # few of many: as if geometric
            again, c = 1 - mass / max(mean, 1.01 * mass), 0.0
            b = -math.log2(again) / 2
            a = math.log2(total / mass / (1 - again)) + 1 - (2 - kind // 2) * b
        rates[4 * kind] = UNIT * math.log2(total / seen[0]) if kind < 2 else NEVER
        rates[4 * kind + 1], rates[4 * kind + 2], rates[4 * kind + 3] = a * UNIT, b * UNIT, c * UNIT


@kernel
def _parabola(s, m, used):
    """a, b, c of the least squares with these moments; where c would be negative, a line."""
    if used > 2:
        det = s[0] * (s[2] * s[4] - s[3] * s[3]) - s[1] * (s[1] * s[4] - s[2] * s[3])
        det += s[2] * (s[1] * s[3] - s[2] * s[2])
        c = s[0] * (s[2] * m[2] - m[1] * s[3]) - s[1] * (s[1] * m[2] - m[1] * s[2])
        c += m[0] * (s[1] * s[3] - s[2] * s[2])
        c = max(c / det, 0.0)
    else:
        c = 0.0
    first, second = m[0] - c * s[2], m[1] - c * s[3]
    det = s[0] * s[2] - s[1] * s[1]
    return (first * s[2] - second * s[1]) / det, (s[0] * second - s[1] * first) / det, c
