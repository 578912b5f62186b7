"""Subtractive dithering: an error that does not depend on x, so unbiased with exactly omega.

Sender and receiver draw the same uniform dither; the levels are coded given the dither.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import codes, kernels, streams
from .codes import BitReader, BitWriter
from .compressor import Compressor, Guarantee
from .entropy import model_bits, read_levels, write_levels
from .families import SCALES, SHAPE_BITS, cells, cheapest, likely_scale
from .message import Header
from .steps import LARGEST_LEVEL, finite, float32_below

PURPOSE = 1 << 17
"""Purpose of the dither in ``streams``."""

PHASES = 16
"""Models: one for each sixteenth of the dither's range."""


class _ShiftedCells:
    """Models of the levels at each phase: cells of one normal or Laplace density, shifted."""

    width = SHAPE_BITS

    def weights(self, name: int) -> NDArray[np.int64]:
        """Level k at phase p is a point x / step in k + (p + 1/2) / PHASES - (0 to 1)."""
        return cells(name, PHASES, np.arange(1 - PHASES, 1))

    def fit(self, histograms: NDArray[np.int64]) -> int:
        scale, normal = cheapest(
            lambda place: model_bits(histograms, self.weights(2 * place[0] + place[1])),
            (SCALES, 2),
            (likely_scale(histograms, PHASES), 1),
        )
        return 2 * scale + normal


@dataclass(frozen=True)
class SubtractiveDithering(Compressor, wire_id=12):
    """Round x_i / step - u_i to an integer k_i, u_i uniform: C(x)_i = step (k_i + u_i).

    u_i in (-1/2, 1/2), step = sqrt(12 omega / d) ||x||. C(x)_i - x_i is uniform in +-step / 2,
    independent of x: unbiased, with E||C(x) - x||^2 = omega ||x||^2 for every x. The dither comes
    from the nonce of the message; the levels cost their entropy given its sixteenth: on normal
    vectors about 1/2 log2(1 + 1/omega) + 0.25 bits a coordinate. x is any array of d coordinates.

    Source: Schuchman 1964 (IEEE Trans. Commun. 12); entropy-coded: Ziv 1985 (IEEE Trans. Inf.
    Theory 31), Zamir and Feder 1992 (IEEE Trans. Inf. Theory 38).

    >>> c = SubtractiveDithering(omega=0.25)
    >>> held = c(np.array([3.0, -4.0]), np.random.default_rng(0))
    >>> bool(np.all(abs(held - [3.0, -4.0]) <= math.sqrt(3 * 0.25 / 2) * 5))
    True
    """

    omega: float

    def __post_init__(self) -> None:
        if not 1e-12 <= self.omega <= 1e6:
            raise ValueError(f"omega is {self.omega}; allowed are 1e-12 <= omega <= 1e6")

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
        norm = math.sqrt(kernels.sum_of_squares(x))
        step = float32_below(math.sqrt(12 * self.omega / x.size) * norm)
        codes.write_positive_float(writer, step)
        if not step:
            return
        if kernels.peak(x) >= LARGEST_LEVEL * step:
            raise ValueError(f"omega is {self.omega}: at d = {x.size} a level would exceed 2**31")
        levels, phases = np.empty(x.size, np.int32), np.empty(x.size, np.uint8)
        for part, raw in _dither(header):
            _round(x[part], 1 / step, raw, levels[part], phases[part])
        write_levels(writer, _split(levels, phases), _ShiftedCells())

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        values = np.zeros(header.d, header.working_dtype)
        step = codes.read_positive_float(reader)
        if not step:
            return values
        phases = np.empty(header.d, np.uint8)
        for part, raw in _dither(header):
            _phases(raw, phases[part])
        sizes = np.bincount(phases, minlength=PHASES)
        groups = read_levels(reader, sizes.tolist(), _ShiftedCells())
        starts = np.cumsum(sizes) - sizes
        levels = np.concatenate(groups)
        for part, raw in _dither(header):
            _place(levels, starts, step, raw, values[part])
        return finite(values)


def _dither(header: Header) -> Iterator[tuple[slice, NDArray[np.uint32]]]:
    """Blocks of coordinates with 32 random bits for each, the dither in units of 2**-32 step."""
    for start in range(0, header.d, kernels.BLOCK):
        part = slice(start, min(start + kernels.BLOCK, header.d))
        raw = streams.words(header.nonce, PURPOSE, start // 2, (part.stop - start + 1) // 2)
        yield part, raw.astype("<u8").view("<u4")[: part.stop - start]


def _split(levels: NDArray[np.int32], phases: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """The levels of each phase, in their order."""
    sizes = np.bincount(phases, minlength=PHASES)
    ends = np.cumsum(sizes)
    sorted_levels = np.empty_like(levels)
    _sort(levels, phases, ends - sizes, sorted_levels)
    return np.split(sorted_levels, ends[:-1])


@njit(cache=True)
def _offset(raw):  # noqa: ANN001, ANN202 - numba infers the types
    """The dither: uniform in (-1/2, 1/2), on midpoints of a grid of 2**-32."""
    return (np.float64(raw) + 0.5) * 2.0**-32 - 0.5


@njit(cache=True)
def _phases(raw, phases):  # noqa: ANN001, ANN202
    for i in range(raw.size):
        phases[i] = raw[i] >> 28


@njit(cache=True)
def _round(x, inverse, raw, levels, phases):  # noqa: ANN001, ANN202
    for i in range(x.size):
        levels[i] = np.int32(np.rint(np.float64(x[i]) * inverse - _offset(raw[i])))
        phases[i] = raw[i] >> 28


@njit(cache=True)
def _sort(levels, phases, starts, out):  # noqa: ANN001, ANN202
    places = starts.copy()
    for i in range(levels.size):
        out[places[phases[i]]] = levels[i]
        places[phases[i]] += 1


@njit(cache=True)
def _place(levels, places, step, raw, values):  # noqa: ANN001, ANN202
    """Take the next level of each coordinate's phase (``places`` moves on), and add the dither."""
    for i in range(raw.size):
        phase = raw[i] >> 28
        values[i] = step * (np.float64(levels[places[phase]]) + _offset(raw[i]))
        places[phase] += 1
