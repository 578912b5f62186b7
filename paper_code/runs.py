"""What a descent leaves behind: the error and the bytes sent after every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
