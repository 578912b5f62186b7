"""Compressed gradient descent by one worker, and runs of any method on record.

A run keeps the error and the bits of every round; runs are repeated from the starts of many seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..compressors.contract import Compressor, Guarantee
    from .problems import Problem


class Method(Protocol):
    """An optimisation method: frozen settings, and its state in local variables of ``iterates``.

    Many workers or error feedback are other methods: they need nothing else of this file.
    """

    def iterates(
        self, problem: Problem, start: NDArray[np.float64], rng: np.random.Generator | None
    ) -> Iterator[tuple[NDArray[np.float64], int]]:
        """Yield (x^t, bits sent in round t) for t = 1, 2, … without end."""
        ...


@dataclass(frozen=True)
class CompressedGradientDescent:
    """Compressed gradient descent, x^{t+1} = x^t - step C(gradient(x^t)).

    The worker sends float32, 32 d bits a round uncompressed as in the paper, so the gradient is
    rounded to float32 before it is encoded; the iterate stays in float64. The rounding, 6e-8 of
    each coordinate, is nothing beside an error of 1e-4. ``step`` None takes ``step_size``.
    Source: paper, convergence of CGD.
    """

    compressor: Compressor
    step: float | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < math.inf:
            raise ValueError(f"step must be positive and finite, got {self.step}")

    def iterates(
        self, problem: Problem, start: NDArray[np.float64], rng: np.random.Generator | None
    ) -> Iterator[tuple[NDArray[np.float64], int]]:
        step = self.step
        if step is None:
            step = step_size(problem, self.compressor.guarantee(problem.d))
        x = start
        while True:
            message = self.compressor.encode(problem.gradient(x).astype(np.float32), rng)
            x = x - step * self.compressor.decode(message).astype(np.float64)
            yield x, message.bits


def step_size(problem: Problem, guarantee: Guarantee) -> float:
    """The step of theory: 1 / L for a contractive compressor, 1 / ((1 + omega) L) for an unbiased.

    Gradient descent then needs 1 / (1 - alpha), or 1 + omega, times its rounds.
    Source: paper, convergence of CGD.
    """
    return 1 / ((1 + guarantee.omega) * problem.L) if guarantee.is_unbiased else 1 / problem.L


Outcome = Literal["reached", "out of rounds", "diverged"]


@dataclass(frozen=True, eq=False)
class Run:
    """One descent: after t rounds, ``errors[t]`` is left and ``bits[t]`` have been sent in all.

    An error is ||x^t - x*||^2 / ||x^0 - x*||^2, so ``errors[0]`` is 1; ``bits[0]`` is 0.
    ``outcome`` says why the run ended: error reached, out of rounds, or diverged.
    """

    errors: NDArray[np.float64]
    bits: NDArray[np.int64]
    outcome: Outcome

    @property
    def bytes(self) -> NDArray[np.float64]:
        """Bytes sent after t rounds: bits / 8, since a stream of messages needs no padding."""
        return self.bits / 8

    def bytes_to_reach(self, error: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Bytes sent when the error is first at most ``error``; infinite where it never is.

        Whole messages count, without interpolation: half a message moves nobody.
        """
        best_so_far = np.minimum.accumulate(self.errors)
        crossing = np.searchsorted(-best_so_far, -np.asarray(error, dtype=float))
        return np.append(self.bytes, np.inf)[crossing]


DIVERGED = 1e12  # above any error on the way to x*, below what overflows a float32


def descend(
    problem: Problem,
    method: Method,
    start: NDArray[np.float64],
    rng: np.random.Generator | None = None,
    *,
    stop_error: float = 1e-4,
    rounds: int = 100_000,
) -> Run:
    """Run ``method`` from ``start`` down to ``stop_error``, for at most ``rounds`` rounds.

    A run whose error passes 1e12 or is no number ends there as "diverged". Raises ValueError for a
    start of the wrong shape, not finite or equal to x*, and for rounds < 1 or stop_error < 0.
    """
    start = _checked_start(problem, start)
    if rounds < 1 or not stop_error >= 0:
        raise ValueError(f"need rounds >= 1 and stop_error >= 0, got {rounds} and {stop_error}")
    distance = start - problem.minimiser
    scale = float(distance @ distance)
    if scale == 0:
        raise ValueError("start is the minimiser itself, so no relative error is defined")

    errors, bits = [1.0], [0]
    outcome: Outcome = "out of rounds"
    for x, sent in method.iterates(problem, start, rng):
        distance = x - problem.minimiser
        errors.append(float(distance @ distance) / scale)
        bits.append(bits[-1] + sent)
        if not errors[-1] < DIVERGED:
            outcome = "diverged"
        elif errors[-1] <= stop_error:
            outcome = "reached"
        if outcome != "out of rounds" or len(errors) > rounds:
            break
    return Run(np.array(errors), np.array(bits), outcome)


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of one method from the starts of several seeds, in the order of the seeds."""

    runs: tuple[Run, ...]

    def bytes_to_reach(self, error: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """``Run.bytes_to_reach`` of every run: shape (number of runs, *shape of error)."""
        return np.stack([run.bytes_to_reach(error) for run in self.runs])

    def median_bytes(self, error: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Median over the runs of the bytes to reach ``error``."""
        return np.median(self.bytes_to_reach(error), axis=0)


def repeat(
    problem: Problem,
    method: Method,
    seeds: int | Iterable[int] = 100,
    *,
    stop_error: float = 1e-4,
    rounds: int = 100_000,
    progress: bool | None = None,
) -> Runs:
    """``descend`` once for every seed (0, …, seeds - 1 if a number), each from its own start.

    A start is N(0, I) and depends on its seed alone, so that methods are compared on equal starts;
    the method's own draws come from a second stream. ``progress`` shows a bar with the time left
    once two seconds have passed; None shows it on a terminal only.
    """
    seeds = range(seeds) if isinstance(seeds, int) else tuple(seeds)
    if not seeds:
        raise ValueError("seeds must name at least one run, got none")
    runs = []
    for seed in _with_progress(seeds, progress):
        start = normal_start(seed, problem.d)
        rng = np.random.default_rng([seed, 1])
        run = descend(problem, method, start, rng, stop_error=stop_error, rounds=rounds)
        runs.append(run)
    return Runs(tuple(runs))


def normal_start(seed: int, d: int) -> NDArray[np.float64]:
    """The start x^0 ~ N(0, I_d) of a seed; calibrated, the poster prints none."""
    # A second word of 0 would be padding: the stream of default_rng(seed), which others may use.
    return np.random.default_rng([seed, 2]).standard_normal(d)


def _checked_start(problem: Problem, start: NDArray[np.float64]) -> NDArray[np.float64]:
    start = np.asarray(start, dtype=np.float64)
    if start.shape != (problem.d,):
        raise ValueError(f"start must have shape ({problem.d},), got {start.shape}")
    if not np.isfinite(start).all():
        raise ValueError(f"start must be finite, got {start[~np.isfinite(start)][0]}")
    return start


def _with_progress(seeds: Iterable[int], progress: bool | None) -> Iterable[int]:
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:  # tqdm comes with the notebooks; the package does not need it
        return seeds
    hidden = None if progress is None else not progress
    return tqdm(seeds, desc="runs", unit="run", delay=2, disable=hidden, leave=False)
