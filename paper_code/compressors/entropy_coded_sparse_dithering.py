"""Sparse Dithering without its slack: the step that just meets alpha, and an entropy coder.

A quarter of a bit per coordinate above the bound, where Sparse Dithering is 1.69 bits above.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..coding import codes
from ..coding.bits import BitReader, BitWriter
from ..coding.entropy_coder import read_levels, write_levels
from ..coding.models import CellModels
from ..messages.message import Header
from ..numerics import norms
from ..numerics.blocks import blocks
from ..numerics.compiled import kernel
from .contract import Compressor, Guarantee, Look, Values
from .step_search import LARGEST_LEVEL, meet, scaled

_POINTS = 15  # of a model to a cell: an odd number, so that the cell of 0 is symmetric
_LANES = 16  # sums side by side

CELLS = CellModels(_POINTS, (-(_POINTS // 2),))


@dataclass(frozen=True)
class EntropyCodedSparseDithering(Compressor, wire_id=11):
    """Round x / step to integers k: C(x) = scale k, with the step that makes the error just alpha.

    The encoder measures its error and searches the step; scale = <x, k> / ||k||^2 as a float32.
    Strictly contractive: ||C(x) - x||^2 <= alpha ||x||^2 for every message. The levels cost their
    entropy and a header, a scale of 31 bits and the model: about 1/2 log2(1 / alpha) + 0.25 bits a
    coordinate on normal vectors, fewer on sparse ones. x is any array of d coordinates. Encoding
    raises ValueError where alpha is finer than the element type of x can hold.

    Source: uniform quantiser and entropy coder, Gish and Pierce 1968 (IEEE Trans. Inf. Theory 14).

    >>> c = EntropyCodedSparseDithering(alpha=0.1)
    >>> c(np.array([3.0, -4.0, 0.1, 0.0]))
    array([ 3.5, -3.5,  0. ,  0. ])
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 1e-12 <= self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; allowed are 1e-12 <= alpha < 1")

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(alpha=0.1)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("entropy-coded Sparse Dithering", "#00395a", "^")

    def guarantee(self, d: int) -> Guarantee:
        """C(alpha)."""
        return Guarantee.strictly_contractive(self.alpha)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values | None:
        energy = norms.sum_of_squares(x)
        if not energy:
            codes.write_positive_float(writer, 0.0)
            return None
        start = math.sqrt(12 * self.alpha / x.size * energy)
        found = meet(_Quantiser, x, energy, self.alpha, start, header)
        codes.write_positive_float(writer, found.scale)
        write_levels(writer, [found.levels], CELLS)
        return lambda: scaled(found.levels, found.scale, header)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("scale")
        scale = codes.read_positive_float(reader)
        if scale == 0:
            return np.zeros(header.d, header.working_dtype)
        return scaled(read_levels(reader, [header.d], CELLS), scale, header)


class _Quantiser:
    """The levels of one vector at the last step, and their best scale."""

    def __init__(self, x: NDArray[Any], energy: float) -> None:
        self.x, self.energy = x, energy
        self.own_energy, self.peak = norms.sum_of_squares(x), norms.peak(x)
        self.levels = np.empty(x.size, np.int32)
        self.step = self.scale = self.last_error = 0.0

    def error(self, step: float) -> float:
        """Error at the best scale, relative to ``energy``."""
        if step != self.step:
            if self.peak >= LARGEST_LEVEL * step:
                raise ValueError(f"a level would exceed 2**31 at d = {self.x.size}; raise alpha")
            inner, squared = _round(self.x, 1 / step, self.levels)
            self.step, self.scale = step, float(np.float32(inner / squared)) if squared else 0.0
            explained = inner * inner / squared if squared else 0.0
            self.last_error = (self.own_energy - explained) / self.energy
        return self.last_error

    def parts(self) -> Iterator[NDArray[np.int32]]:
        """The levels, a block at a time."""
        return blocks(self.levels)


@kernel
def _round(x, inverse, levels):  # noqa: ANN001, ANN202 - numba infers the types
    """Fill the levels k; return <x, k> and ||k||^2, always added in the same order."""
    inner, squared = np.zeros(_LANES), np.zeros(_LANES)
    whole = x.size - x.size % _LANES
    for start in range(0, whole, _LANES):
        for j in range(_LANES):
            value = np.float64(x[start + j])
            level = np.rint(value * inverse)
            levels[start + j] = np.int32(level)
            inner[j] += level * value
            squared[j] += level * level
    for i in range(whole, x.size):
        level = np.rint(x[i] * inverse)
        levels[i] = np.int32(level)
        inner[0] += level * x[i]
        squared[0] += level * level
    return inner.sum(), squared.sum()
