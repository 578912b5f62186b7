"""One pass over a long vector whose error lands just below alpha: each chunk has a step of its own.

Step size and rates come from a sample. Then, chunk by chunk, the step follows what is left of the
error that alpha allows; the Lagrange multiplier is tied to its square. Where the total misses,
single chunks are quantised again between the states at their ends.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...numerics import norms
from ...numerics.simd import LANES
from .cells import Cells
from .models import entropy, normal_rates, search_rates
from .quantiser import Quantised, Quantiser, Settings
from .search import CELL
from .stretches import ESCAPE, LARGEST, WIDTHS, Chunk, chunks, stretches

TIGHT = 4e-4
"""A path's error is to be between (1 - 3 TIGHT) alpha and alpha."""

_AHEAD = CELL  # steps that are looked ahead to decide where a chunk's path ends
_SAMPLES = (1 << 13, 1 << 15)
_NEIGHBOURS = 16  # a sample consists of so many neighbours at a time
_BELOW = 3 * TIGHT, 3 * TIGHT, 3 * TIGHT, 0.02, 0.05, 0.1
"""How far below alpha an error is accepted after each sweep."""
_REPAIRS = 8
_LIMIT = 1.03  # between a chunk's step and that of all
_ZEROS_RATIO = 0.36  # of the multiplier to the squared step where odd states may have zeros
_PRIOR = 4  # chunks whose worth of error the plan is believed before it is corrected
_CLEARLY = 0.985  # of the cost of a chunk in its own order
_MOST_ESCAPED = 1 / 256  # of the levels of a sample: each escape takes some bits too many


class Missed(Exception):
    """No path near alpha was found."""


Plan = tuple[Settings, NDArray[np.float64]]
"""What all chunks are searched with, and the error that each then is to have."""


def sample_of(x: NDArray[Any], size: int) -> NDArray[np.float32]:
    """About ``size`` coordinates of x, 16 neighbours at a time."""
    every = max(1, x.size // size)
    whole = x[: x.size // _NEIGHBOURS * _NEIGHBOURS].reshape(-1, _NEIGHBOURS)
    return np.ascontiguousarray(whole[::every], np.float32).reshape(-1)


class RateControl:
    """Paths of all chunks of x, whose ||x||^2 is ``energy``; ``width`` as in ``by_columns``.

    With ``cells`` the rates are theirs.
    """

    def __init__(
        self,
        x: NDArray[Any],
        energy: float,
        states: int,
        width: int = 1,
        cells: Cells | None = None,
    ) -> None:
        self.x, self.energy, self.chunks = x, energy, chunks(x.size)
        self.width, self.cells = width, cells
        self.peak = norms.peak(x)
        room = max(self.chunks[0].steps + _AHEAD, -(-2 * max(_SAMPLES) // LANES))
        self.quantiser = Quantiser(states, room)
        self.y = np.empty((self.chunks[0].steps + _AHEAD) * LANES, np.float32)
        self.ratio = math.nan
        self.done: list[Quantised] = []
        self.borders = [np.zeros(LANES, np.uint32)] * (len(self.chunks) + 1)

    def run(self, alpha: float, start: Plan | None = None) -> list[Quantised]:
        """The paths of all chunks, whose error is just below ``alpha`` times the energy.

        ``start`` is what another control of x ended with. Raises Missed where it does not succeed.
        """
        settings, expected = start or self._tuned(alpha)
        goal, power, before = alpha * (1 - TIGHT / 2), 2.0, None
        for attempt in range(len(_BELOW)):
            self.ratio = settings.ratio
            self._sweep(self._checked(settings), expected, goal, power)
            swept, mean = self._error(), self._mean_step()
            self._repair(settings, goal, alpha, power)
            error = self._error()
            if (1 - _BELOW[attempt]) * alpha <= error <= alpha:
                return self.done
            if min(swept, error) < 1e-3 * alpha:  # it is coded exactly, whatever the step
                raise Missed
            here = math.log(mean), math.log(swept)
            if before and abs(here[0] - before[0]) > 1e-3:
                power = min(max((here[1] - before[1]) / (here[0] - before[0]), 0.5), 3.0)
            before = here
            aim = (1 - _BELOW[attempt] / 4) * goal
            move = min(max((aim / swept) ** (1 / power), 0.5), 2.0)
            learned, expected = self.plan(mean * move, power)
            # rates that change lead to other paths, whose error may leap: learn them twice
            settings = learned if attempt < 2 else replace(learned, rates=settings.rates)
            expected *= goal * self.energy / expected.sum()
        raise Missed

    def plan(self, step: float | None = None, power: float = 2.0) -> Plan:
        """Settings by what was found, at that step or its mean, and the error of each chunk."""
        if self.cells:
            rates = self.cells.rates
        else:
            rates = _learned_rates(np.sum([one.counts for one in self.done], axis=0))
        step = step or self._mean_step()
        expected = [o.error(o.best_scale) * (step / o.step) ** power for o in self.done]
        return Settings(step, self.ratio, rates), np.array(expected)

    def best_width(self, size: int) -> int:
        """Of WIDTHS the one that makes a part of ``size`` coordinates, or a chunk, cheapest.

        It is of the chunk of most energy. 1 where that is nearly as cheap.
        """
        k = int(np.argmax([one.energy for one in self.done]))
        first, size = self.chunks[k].first, min(size, self.chunks[k].size)
        costs = [self._cost(self.x[first : first + size], self.done[k], width) for width in WIDTHS]
        best = int(np.argmin(costs))
        return WIDTHS[best] if costs[best] < _CLEARLY * costs[0] else 1

    def _cost(self, part: NDArray[Any], like: Quantised, width: int) -> float:
        """Bits, and error at the price of the multiplier; step and rates are those of ``like``."""
        chunk, y = _as_one_chunk(part, width)
        one, start = like, np.zeros(LANES, np.uint32)
        for _ in range(2):
            settings = Settings(like.step, self.ratio, _learned_rates(one.counts))
            if not (found := self.quantiser.run(y, chunk, settings, start)):
                return math.inf
            one, _ = found
        return entropy(one.counts) + settings.price(one.error(one.best_scale))

    def _mean_step(self) -> float:
        """The step of the chunks, each counted as often as it has error."""
        errors = [one.error(one.best_scale) for one in self.done]
        return float(
            np.average([one.step for one in self.done], weights=np.maximum(errors, 1e-300))
        )

    def _checked(self, settings: Settings) -> Settings:
        """``settings``. Raises Missed where they make levels that are too large."""
        if not self.peak < LARGEST * settings.step:
            raise Missed
        return settings

    def _tuned(self, alpha: float) -> Plan:
        """Settings that meet alpha on a sample, and the error of each chunk there."""
        deviation = math.sqrt(self.energy / self.x.size)
        step = math.sqrt(3.4 * alpha) * deviation
        found, sample = [], sample_of(self.x, _SAMPLES[0])
        for zeros in (False, True):
            ratio = _ZEROS_RATIO if zeros else _normal_multiplier(alpha) / (3.4 * alpha)
            first = Settings(step, ratio, normal_rates(step / deviation, zeros))
            settings, _, cost = self._on_sample(first, sample, alpha, 14, 0.03, zeros)
            found.append((cost, zeros, settings))
        _, zeros, settings = min(found, key=lambda one: one[0])
        sample = sample_of(self.x, max(_SAMPLES[0], min(_SAMPLES[1], self.x.size // 16)))
        settings, error, _ = self._on_sample(settings, sample, alpha, 3, 0.004, zeros)
        one = self.last
        if one.counts[:, ESCAPE].sum() > _MOST_ESCAPED * sample.size:
            raise Missed
        n = one.path.reshape(-1, LANES).T.reshape(-1)[: sample.size] >> 2
        squares = (sample - one.best_scale * n) ** 2
        share = np.cumsum([0] + [c.size for c in self.chunks]) * (sample.size / self.x.size)
        edges = np.rint(share).astype(int)
        expected = np.add.reduceat(np.append(squares, 0), edges[:-1])
        expected *= self.x.size / sample.size / error
        return settings, expected

    def _on_sample(
        self,
        settings: Settings,
        sample: NDArray[np.float32],
        alpha: float,
        tries: int,
        close: float,
        zeros: bool,
    ) -> tuple[Settings, float, float]:
        """Settings after some tries, with the error over alpha and the cost of the last, in bits.

        The cost counts the error beyond alpha too, at the price of the multiplier.
        """
        (chunk, y), start = _as_one_chunk(sample), np.zeros(LANES, np.uint32)
        goal = alpha * self.energy * sample.size / self.x.size
        before = math.inf
        for attempt in range(tries):
            found = self.quantiser.run(y, chunk, self._checked(settings), start)
            if not found:
                raise Missed
            self.last, _ = found
            error = max(self.last.error(self.last.best_scale) / goal, 1e-9)
            cost = entropy(self.last.counts) + settings.price((error - 1) * goal)
            if abs(error - 1) < close and cost > before * (1 - close / 4):
                break
            before = cost
            if attempt + 1 < tries:
                move = math.exp(min(max(-0.45 * math.log(error), -1.5), 1.0))
                rates = search_rates(self.last.counts, zeros)
                settings = Settings(settings.step * move, settings.ratio, rates)
        settings = replace(settings, step=settings.step / math.sqrt(error))
        return self._checked(settings), error, cost

    def _sweep(
        self, settings: Settings, expected: NDArray[np.float64], goal: float, power: float
    ) -> None:
        """All chunks, each at a step for what is left of the error allowed.

        The error of a chunk goes as that ``power`` of its step.
        """
        self.done = []
        spent, planned, prior = 0.0, 0.0, _PRIOR * float(expected.mean())
        for k, chunk in enumerate(self.chunks):
            believed = (spent + prior) / max(planned + prior, 1e-300)
            rest = max(believed * float(expected[k:].sum()), 1e-300)
            # chunks at the end may be expected to have no error at all
            factor = min(max((goal * self.energy - spent) / rest, 1e-9), 1e9) ** (1 / power)
            factor = min(max(factor, 1 / _LIMIT), _LIMIT)
            one = Settings(settings.step * factor, settings.ratio, settings.rates)
            y, cells = self._stretches(k, _AHEAD), self._cells(k, _AHEAD)
            found = self.quantiser.run(y, chunk, one, self.borders[k], cells=cells)
            if not found:
                raise Missed
            quantised, self.borders[k + 1] = found
            self.done.append(quantised)
            spent += quantised.error(quantised.best_scale)
            planned += expected[k] * factor**power

    def _stretches(self, k: int, ahead: int) -> NDArray[np.float32]:
        """The stretches of a chunk and some first steps of the next."""
        steps = self.chunks[k].steps
        stretches(self.x, self.chunks[k], steps, self.y, self.width)
        if k + 1 < len(self.chunks) and ahead:
            after = self.chunks[k + 1]
            ahead = min(ahead, after.steps)
            stretches(self.x, after, ahead, self.y[steps * LANES :], self.width)
            steps += ahead
        return self.y[: steps * LANES]

    def _cells(self, k: int, ahead: int) -> NDArray[np.uint8] | None:
        """The models of these stretches."""
        if not self.cells:
            return None
        own, *after = self.cells.maps[k : k + 2]
        return np.concatenate([own, *(cells[: ahead // CELL] for cells in after)])

    def _repair(self, settings: Settings, goal: float, alpha: float, power: float) -> None:
        """Chunks of much error again, between the states at their ends."""
        if abs(self._error() / goal - 1) > 0.2 / len(self.chunks):
            return
        here = [one.error(one.best_scale) for one in self.done]
        for k in sorted(range(len(here)), key=lambda k: -here[k])[:_REPAIRS]:
            for _ in range(2):
                error = self._error()
                if (1 - TIGHT) * alpha <= error <= alpha:
                    return
                factor = 1 + (goal - error) * self.energy / max(here[k], 1e-300)
                step = self.done[k].step * min(max(factor, 0.9), 1.1) ** (1 / power)
                one = Settings(step, settings.ratio, settings.rates)
                y = self._stretches(k, 0)
                ends = self.borders[k + 1] if k + 1 < len(here) else None
                given = self.borders[k], ends, self._cells(k, 0)
                found = self.quantiser.run(y, self.chunks[k], one, *given)
                if found:
                    self.done[k] = found[0]
                    here[k] = found[0].error(found[0].best_scale)

    @property
    def scale(self) -> float:
        """The best scale of all chunks together."""
        own = sum(one.own for one in self.done)
        return sum(one.cross for one in self.done) / own if own else 0.0

    def _error(self) -> float:
        return sum(one.error(one.best_scale) for one in self.done) / self.energy


def _as_one_chunk(part: NDArray[Any], width: int = 1) -> tuple[Chunk, NDArray[np.float32]]:
    """A part of a vector as if it were all, and its stretches."""
    chunk = Chunk(0, part.size, -(-part.size // LANES))
    y = np.empty(chunk.steps * LANES, np.float32)
    stretches(part, chunk, chunk.steps, y, width)
    return chunk, y


def _learned_rates(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rates of the symbols so counted, with zeros at odd states if they had any."""
    return search_rates(counts, bool(counts[2, 0]))


def _normal_multiplier(alpha: float) -> float:
    """That of the rate-distortion function at variance 1, times what was best on normal vectors."""
    return 2 * math.log(2) * alpha * min(0.95, 1.55 - 1.15 * alpha)
