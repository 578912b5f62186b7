"""Subtractive dithering: an error that does not depend on x, so unbiased with exactly omega.

Sender and receiver draw the same uniform dither; the levels are coded given the dither.
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
from ..numerics import blocks, norms
from ..numerics.compiled import kernel
from ..numerics.float_types import float32_below
from ..numerics.random_streams import Tag, words
from .contract import Compressor, Guarantee, Look
from .step_search import LARGEST_LEVEL, finite

PHASES = 16
"""Models: one for each sixteenth of the dither's range."""

CELLS = CellModels(PHASES, tuple(range(1 - PHASES, 1)))
"""Level k at phase p is a point x / step in k + (p + 1/2) / PHASES - (0 to 1)."""


@dataclass(frozen=True)
class SubtractiveDithering(Compressor, wire_id=12):
    """Round x_i / step - u_i to an integer k_i, u_i uniform: C(x)_i = step (k_i + u_i).

    u_i in (-1/2, 1/2), step = sqrt(12 omega / d) ||x||. C(x)_i - x_i is uniform in +-step / 2,
    independent of x: unbiased, with E||C(x) - x||^2 = omega ||x||^2 for every x. The dither comes
    from the nonce of the message; the levels cost their entropy given its sixteenth: on normal
    vectors about 1/2 log2(1 + 1/omega) + 0.25 bits a coordinate. x is any array of d coordinates.

    Source: Schuchman 1964 (IEEE Trans. Commun. Technol. 12); entropy-coded: Ziv 1985 (IEEE Trans.
    Inf. Theory 31), Zamir and Feder 1992 (IEEE Trans. Inf. Theory 38).

    >>> c = SubtractiveDithering(omega=0.25)
    >>> held = c(np.array([3.0, -4.0]), np.random.default_rng(0))
    >>> bool(np.all(abs(held - [3.0, -4.0]) <= math.sqrt(3 * 0.25 / 2) * 5))
    True
    """

    omega: float

    def __post_init__(self) -> None:
        if not 1e-12 <= self.omega <= 1e6:
            raise ValueError(f"omega is {self.omega}; allowed are 1e-12 <= omega <= 1e6")

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(omega=0.25)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("subtractive dithering", "#cc79a7", "P")

    @property
    def shares_randomness(self) -> bool:
        """The dither is drawn by both sides."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(omega)."""
        return Guarantee.unbiased(self.omega)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        norm = math.sqrt(norms.sum_of_squares(x))
        step = float32_below(math.sqrt(12 * self.omega / x.size) * norm)
        codes.write_positive_float(writer, step)
        if not step:
            return
        if norms.peak(x) >= LARGEST_LEVEL * step:
            raise ValueError(f"omega is {self.omega}: at d = {x.size} a level would exceed 2**31")
        ends = np.cumsum(self._sizes(header))
        levels, places = np.empty(x.size, np.int32), np.concatenate([[0], ends[:-1]])
        for part, raw in self._dither(header):
            _round(x[part], 1 / step, raw, places, levels)
        write_levels(writer, np.split(levels, ends[:-1]), CELLS)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("step")
        step = codes.read_positive_float(reader)
        if not step:
            return np.zeros(header.d, header.working_dtype)
        sizes = self._sizes(header)
        levels = read_levels(reader, sizes.tolist(), CELLS)
        values, places = np.empty(header.d, header.working_dtype), np.cumsum(sizes) - sizes
        for part, raw in self._dither(header):
            _place(levels, places, step, raw, values[part])
        return finite(values)

    def _dither(self, header: Header) -> Iterator[tuple[slice, NDArray[np.uint32]]]:
        """Blocks of coordinates with 32 random bits each, the dither in units of 2**-32 step."""
        for start in range(0, header.d, blocks.BLOCK):
            part = slice(start, min(start + blocks.BLOCK, header.d))
            raw = words(header.shared_nonce, Tag.DITHER, start // 2, (part.stop - start + 1) // 2)
            yield part, raw.astype("<u8", copy=False).view("<u4")[: part.stop - start]

    def _sizes(self, header: Header) -> NDArray[np.int64]:
        """How many coordinates are in each phase; the dither is drawn again, not kept."""
        sizes = np.zeros(PHASES, np.int64)
        for _, raw in self._dither(header):
            _count(raw, sizes)
        return sizes


@kernel
def _offset(raw):  # noqa: ANN001, ANN202 - numba infers the types
    """The dither: uniform in (-1/2, 1/2), on midpoints of a grid of 2**-32."""
    return (np.float64(raw) + 0.5) * 2.0**-32 - 0.5


@kernel
def _count(raw, sizes):  # noqa: ANN001, ANN202
    for i in range(raw.size):
        sizes[raw[i] >> 28] += 1


@kernel
def _round(x, inverse, raw, places, levels):  # noqa: ANN001, ANN202
    """Put the level of each coordinate to the next place of its phase; ``places`` moves on."""
    for i in range(raw.size):
        phase = raw[i] >> 28
        levels[places[phase]] = np.int32(np.rint(np.float64(x[i]) * inverse - _offset(raw[i])))
        places[phase] += 1


@kernel
def _place(levels, places, step, raw, values):  # noqa: ANN001, ANN202
    """Take the next level of each coordinate's phase (``places`` moves on), and add the dither."""
    for i in range(raw.size):
        phase = raw[i] >> 28
        values[i] = step * (np.float64(levels[places[phase]]) + _offset(raw[i]))
        places[phase] += 1
