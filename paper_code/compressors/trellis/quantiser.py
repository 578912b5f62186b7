"""The best path of a chunk through the trellis, what it says about the error, and its settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...coding.rans import SYMBOLS
from ...numerics.simd import LANES
from .search import UNIT, Search
from .stretches import CLASSES, ESCAPE, Chunk, quantise


@dataclass(frozen=True)
class Settings:
    """What a search is told: the step size, the multiplier over its square, rates in units.

    The rates are those of one model, or of several (models x ROWS) among which cells choose.
    """

    step: float
    ratio: float
    rates: NDArray[np.float32]

    @property
    def weight(self) -> float:
        """Units of a squared error of one step."""
        return min(UNIT / self.ratio, 1e9)

    def price(self, error: float) -> float:
        """Bits that a squared error is worth."""
        return error / (self.ratio * self.step**2)

    def of_lanes(self, cells: NDArray[np.uint8] | None) -> NDArray[np.float32]:
        """The rates as ``Search`` takes them; ``cells`` x LANES say which model is whose."""
        if cells is None:
            return np.repeat(self.rates, LANES)
        return self.rates[cells].transpose(0, 2, 1).ravel()


@dataclass
class Quantised:
    """The path of a chunk, and what it says about the error."""

    packed: NDArray[np.int16] | NDArray[np.int32]
    """``path``; in 16 bits where no level is escaped, for many chunks are held at a time."""
    counts: NDArray[np.int64]
    energy: float
    cross: float
    """<x, n>."""
    own: float
    """||n||^2."""
    step: float

    @property
    def path(self) -> NDArray[np.int32]:
        """4 n + class, step by step."""
        return self.packed.astype(np.int32, copy=False)

    def error(self, scale: float) -> float:
        """||x - scale n||^2."""
        return self.energy - 2 * scale * self.cross + scale**2 * self.own

    @property
    def best_scale(self) -> float:
        """The scale of least error; 0 where all n are, or have the wrong sign for it."""
        return self.cross / self.own if self.cross > 0 else 0.0


class Quantiser:
    """Quantises stretches along the best path through the trellis."""

    def __init__(self, states: int, steps: int) -> None:
        self.search = Search(states, steps)
        self.branches = np.empty(steps * LANES, np.uint8)
        self.path = np.empty(steps * LANES, np.int32)

    def run(
        self,
        y: NDArray[np.float32],
        chunk: Chunk,
        settings: Settings,
        start: NDArray[np.uint32],
        end: NDArray[np.uint32] | None = None,
        cells: NDArray[np.uint8] | None = None,
    ) -> tuple[Quantised, NDArray[np.uint32]] | None:
        """The path of a chunk and the states at its end, which are free or given.

        ``y`` may reach further than the chunk: then what follows helps to decide. None where no
        path leads from ``start`` to ``end``.
        """
        inverse, weight = np.float32(1 / settings.step), np.float32(settings.weight)
        rates, steps = settings.of_lanes(cells), y.size // LANES
        lanes = np.full(LANES, inverse), np.full(LANES, weight), rates
        self.search.run(y, *lanes, start)
        state = self.search.best()[0] if end is None else end.copy()
        self.search.trace(chunk.steps, steps, state, self.branches[: y.size - chunk.steps * LANES])
        end = state.copy()
        branches = self.branches[: chunk.steps * LANES]
        self.search.trace(0, chunk.steps, state, branches)
        if not np.array_equal(state, start):
            return None
        path, counts = self.path[: branches.size], np.zeros((CLASSES, SYMBOLS), np.int64)
        own = y[: path.size]
        energy, cross, squared = quantise(
            own, branches, inverse, weight, rates, chunk.size, chunk.steps, path, counts
        )
        packed = path.copy() if counts[:, ESCAPE].any() else path.astype(np.int16)
        return Quantised(packed, counts, energy, cross, squared, settings.step), end
