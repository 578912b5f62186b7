"""Sparse Dithering without its slack: the step that just meets alpha, and an entropy coder.

A quarter of a bit per coordinate above the bound, where Sparse Dithering is 1.69 bits above.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..coding.bits import BitReader, BitWriter
from ..coding.codes import read_positive_floats, write_positive_floats
from ..coding.entropy_coder import read_levels, write_levels
from ..coding.models import CellModels
from ..messages.message import Header
from ..numerics import norms
from ..numerics.blocks import blocks
from . import chunk_steps
from .contract import Compressor, Guarantee, Look, Values, check_integer, taken_from
from .step_search import LARGEST_LEVEL, finite, meet

_POINTS = 15  # of a model to a cell: an odd number, so that the cell of 0 is symmetric
_LEFT_OUT = 2.0**-60  # of the energy: less has no levels, for its scale could be subnormal
_ALL_LEFT_OUT = 2.0**-11  # of alpha, which the other chunks pay

CELLS = CellModels(_POINTS, (-(_POINTS // 2),))


@dataclass(frozen=True)
class EntropyCodedSparseDithering(Compressor, wire_id=11, later={"chunk": 24}):
    """Round x / step to integers k: C(x) = scale k, with the step that makes the error just alpha.

    The encoder measures its error and searches the step; scale = <x, k> / ||k||^2 as a float32.
    Strictly contractive: ||C(x) - x||^2 <= alpha ||x||^2 for every message. The levels cost their
    entropy and a header, a scale of 31 bits and the model: about 1/2 log2(1 / alpha) + 0.25 bits a
    coordinate on normal vectors, fewer on sparse ones. x is any array of d coordinates. Encoding
    raises ValueError where alpha is finer than the element type of x can hold.

    With a ``chunk``, every chunk of so many coordinates, and the last of what is left, has a step
    of its own and keeps the error alpha on its own, for a scale of 13 bits or more each: so no part
    of x is left out because another is larger, as outer steps of training need. (One whose norm is
    below 1e-9 ||x|| may be.) Float16, bfloat16 and extreme magnitudes take 100 us a chunk to
    encode, others a tenth of that and less.

    Source: uniform quantiser and entropy coder, Gish and Pierce 1968 (IEEE Trans. Inf. Theory 14).

    >>> c = EntropyCodedSparseDithering(alpha=0.1)
    >>> c(np.array([3.0, -4.0, 0.1, 0.0]))
    array([ 3.5, -3.5,  0. ,  0. ])
    """

    alpha: float
    chunk: int = 0  # 0: all of x is one

    def __post_init__(self) -> None:
        if not 1e-12 <= self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; allowed are 1e-12 <= alpha < 1")
        check_integer("chunk", self.chunk, 0)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with: in one, and in chunks that divide 40 coordinates or do not."""
        return [cls(alpha=0.1), cls(alpha=0.1, chunk=16)]

    @property
    def look(self) -> Look:
        """In chunks it has a lighter tone."""
        if self.chunk:
            return Look(f"entropy-coded SD, chunks of {self.chunk}", "#4c7f9f", "^")
        return Look("entropy-coded Sparse Dithering", "#00395a", "^")

    def guarantee(self, d: int) -> Guarantee:
        """C(alpha)."""
        return Guarantee.strictly_contractive(self.alpha)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values | None:
        scales, levels = self._quantise(x, header)
        write_positive_floats(writer, scales, self._scale_bits)
        if not scales.any():
            return None
        write_levels(writer, [levels], CELLS)
        return lambda out, rest: taken_from(rest, self._values(levels, scales, header, out))

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("scale")
        count = -(-header.d // self._size(header.d))
        scales = read_positive_floats(reader, count, self._scale_bits)
        if not scales.any():
            return np.zeros(header.d, header.working_dtype)
        return self._values(read_levels(reader, [header.d], CELLS), scales, header)

    @property
    def _scale_bits(self) -> int:
        """Of a chunk 8 and 5 to 23: rounding adds at most 2^-11 alpha to its error, or 2^-48."""
        if not self.chunk:
            return 31
        return 8 + min(23, 5 + (1 - math.frexp(self.alpha)[1]) // 2)

    def _size(self, d: int) -> int:
        """Of the chunks of d coordinates, but the last."""
        return min(int(self.chunk) or d, d)

    def _quantise(
        self, x: NDArray[Any], header: Header
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """The scale of every chunk, and the levels."""
        levels, size = np.zeros(x.size, np.int32), self._size(x.size)
        energies = (
            chunk_steps.energies(x, size) if self.chunk else np.array([norms.sum_of_squares(x)])
        )
        whole = math.fsum(energies)
        sent = energies > min(_LEFT_OUT, _ALL_LEFT_OUT * self.alpha / energies.size) * whole
        alpha = self.alpha - (math.fsum(energies[~sent]) / whole if whole else 0)
        scales = np.where(sent, np.float32(np.nan), np.float32(0))
        if self.chunk and header.is_exact:
            chunk_steps.settle(x, size, energies, alpha, self._scale_bits, levels, scales)
        for i in np.flatnonzero(np.isnan(scales)):
            part = slice(i * size, (i + 1) * size)
            start = math.sqrt(12 * self.alpha / x[part].size * energies[i])
            quantiser = partial(_Quantiser, room=levels[part], bits=self._scale_bits)
            scales[i] = meet(quantiser, x[part], energies[i], alpha, start, header).scale
        return scales, levels

    def _values(
        self,
        levels: NDArray[np.signedinteger],
        scales: NDArray[np.float32],
        header: Header,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        values = np.empty(levels.size, header.working_dtype) if out is None else out
        chunk_steps.multiply(levels, scales, self._size(levels.size), values)
        return finite(values)


class _Quantiser:
    """The levels of one vector at the last step, and their best scale."""

    def __init__(self, x: NDArray[Any], energy: float, room: NDArray[np.int32], bits: int) -> None:
        self.x, self.energy, self.bits = x, energy, bits
        self.own_energy, self.peak = norms.sum_of_squares(x), norms.peak(x)
        self.levels = room[: x.size]  # of a sample, too
        self.step = self.scale = self.last_error = 0.0

    def error(self, step: float) -> float:
        """Error at the best scale, relative to ``energy``."""
        if step != self.step:
            if self.peak >= LARGEST_LEVEL * step:
                raise ValueError(f"a level would exceed 2**31 at d = {self.x.size}; raise alpha")
            found = chunk_steps.round_to_levels(self.x, 1 / step, self.levels)
            self.scale, left = chunk_steps.scale_and_distance(*found, self.own_energy, self.bits)
            self.step, self.last_error = step, left / self.energy
        return self.last_error

    def parts(self) -> Iterator[NDArray[np.int32]]:
        """The levels, a block at a time."""
        return blocks(self.levels)
