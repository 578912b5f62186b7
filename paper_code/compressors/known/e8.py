"""The densest lattice in eight dimensions as a quantiser, with an entropy coder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.alphabet import REACH, SYMBOLS
from ...coding.bits import BitReader, BitWriter, FormatError
from ...coding.entropy_coder import read_levels, write_levels
from ...coding.models import SHAPE_BITS, cheapest_shape, likely_scale, model_bits, points
from ...messages.message import Header
from ...numerics import norms
from ...numerics.blocks import blocks
from ...numerics.compiled import kernel
from ..contract import Compressor, Guarantee, Look
from ..step_search import LARGEST_LEVEL, finite, meet

SECOND_MOMENT = 929 / 12960
"""Mean squared error of a coordinate in a cell of E8, whose volume is 1: .07168 against 1/12."""

_SIZE = 8
_GROUPS = 7  # cosets; seven coordinates, by coset; the eighth, by coset and parity


@dataclass(frozen=True)
class E8(Compressor, wire_id=19):
    """The point of E8 nearest to each eight coordinates over a step: C(x) = scale times the points.

    E8 = D8 or D8 + 1/2, where D8 are the integer vectors with an even sum. The encoder measures its
    error and searches the step; the scale is the best, a float32. Strictly contractive:
    ||C(x) - x||^2 <= alpha ||x||^2 for every message. Of each eight coordinates an entropy coder
    takes which coset it is, seven integers with a model for each coset, and half of the eighth,
    whose parity the others tell: at high rates 1/2 log2(2 pi e 929/12960) = .146 bit a coordinate
    above 1/2 log2(1/alpha) on normal vectors, where single coordinates are .255 above. x is any
    array of d coordinates; zeros fill the last eight. Encoding raises ValueError where alpha is
    finer than the element type of x can hold.

    Source: Conway and Sloane 1982, IEEE Trans. Inf. Theory 28(2): the moment from p. 211, Voronoi
    regions of lattices, second moments of polytopes, and quantization; the nearest point from
    p. 227, Fast quantizing and decoding algorithms for lattice quantizers and codes.

    >>> E8(alpha=0.1)(np.array([3.0, -4.0, 0.1, 0.0]))
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
        return Look("E8 lattice", "#117733", "8")

    def guarantee(self, d: int) -> Guarantee:
        """C(alpha)."""
        return Guarantee.strictly_contractive(self.alpha)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        energy = norms.sum_of_squares(x)
        if not energy:
            codes.write_positive_float(writer, 0.0)
            return
        start = math.sqrt(self.alpha / (4 * SECOND_MOMENT) / x.size * energy)
        found = meet(_Quantiser, x, energy, self.alpha, start, header)
        codes.write_positive_float(writer, found.scale)
        write_levels(writer, _groups(x, 1 / found.step), MODELS)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("scale")
        scale = codes.read_positive_float(reader)
        values = np.zeros(header.d, header.working_dtype)
        if not scale:
            return values
        count = -(-header.d // _SIZE)
        told = (partial(_size_of, group, count) for group in range(1, _GROUPS))
        levels = read_levels(reader, [count, *told], MODELS, (_SIZE + 1) * count)
        ends = np.cumsum([count, *(_sizes(levels, count))])
        _merge(levels, ends[:-1].copy(), scale, values)
        return finite(values)


class _Models:
    """A ``ParametricFamily``: all coordinates normal or Laplace, seen at the points of E8.

    In halves of the step a coordinate is an even number in D8 and an odd one in D8 + 1/2; of the
    eighth every second one is left. With E, O and A the sums of the weights of even and odd numbers
    and the alternating sum of the even ones, the cosets weigh E^8 + A^8 and O^8.
    """

    width: ClassVar[int] = SHAPE_BITS

    def weights(self, shape: int) -> NDArray[np.int64]:
        """Weights of that shape, groups x symbols."""
        return _weights(shape)

    def fit(self, histograms: NDArray[np.int64]) -> int:
        """The shape with the fewest bits, near the likely one."""

        def bits(shape: int, histograms: NDArray[np.int64]) -> float:
            return model_bits(histograms, self.weights(shape))

        return cheapest_shape(bits, histograms, likely_scale(histograms[1:3], 2))


MODELS = _Models()


@lru_cache(maxsize=64)
def _weights(shape: int) -> NDArray[np.int64]:
    coordinates = [points(shape, 2, coset) for coset in (0, 1)]
    eighths = [points(shape, 4, 2 * parity + coset) for coset in (0, 1) for parity in (0, 1)]
    even, odd, *halves = (int(row.sum()) for row in (*coordinates, *eighths))
    shares = even**_SIZE + (halves[0] - halves[1]) ** _SIZE, odd**_SIZE
    cosets = np.zeros((1, SYMBOLS), np.int64)
    cosets[0, REACH : REACH + 2] = [max((share << 31) // sum(shares), 1) for share in shares]
    return np.vstack([cosets, *coordinates, *eighths])


class _Quantiser:
    """The points of one vector at the last step, in halves of the step, and their best scale."""

    def __init__(self, x: NDArray[Any], energy: float) -> None:
        self.x, self.energy = x, energy
        self.own_energy, self.peak = norms.sum_of_squares(x), norms.peak(x)
        self.step = self.scale = self.last_error = 0.0

    def error(self, step: float) -> float:
        """Error at the best scale, relative to ``energy``."""
        if step != self.step:
            if self.peak >= LARGEST_LEVEL / 2 * step:
                raise ValueError(f"a level would exceed 2**30 at d = {self.x.size}; raise alpha")
            inner, squared = _measure(self.x, 1 / step)
            self.step, self.scale = step, float(np.float32(inner / squared)) if squared else 0.0
            explained = inner * inner / squared if squared else 0.0
            self.last_error = (self.own_energy - explained) / self.energy
        return self.last_error

    def parts(self) -> Iterator[NDArray[np.int32]]:
        """The coordinates of the points, a block at a time: they are found again, not kept."""
        for part in blocks(self.x):
            levels = np.empty(part.size, np.int32)
            _fill(part, 1 / self.step, levels)
            yield levels


@kernel
def _nearest(x, start, inverse, point):  # noqa: ANN001, ANN202 - numba infers the types
    """Fill ``point`` with twice the point of E8 nearest to x[start : start + 8] inverse / 2.

    In each coset: round every coordinate, and where the sum has the wrong parity move the one that
    was rounded furthest to its other side. Ties go to D8.
    """
    away = away_half = 0.0
    furthest = furthest_half = -1.0
    which = which_half = odd = odd_half = 0
    for i in range(8):  # plain variables, no arrays: those would be allocated for every block
        y = np.float64(x[start + i]) * inverse if start + i < x.size else 0.0
        whole, below = np.rint(y / 2), np.floor(y / 2)
        gap, gap_half = abs(y - 2 * whole), abs(y - 2 * below - 1)
        away += gap * gap
        away_half += gap_half * gap_half
        odd ^= np.int64(whole) & 1
        odd_half ^= np.int64(below) & 1
        if gap > furthest:
            furthest, which = gap, i
        if gap_half > furthest_half:
            furthest_half, which_half = gap_half, i
    away += 4 * odd * (1 - furthest)  # (2 - gap)^2 - gap^2
    away_half += 4 * odd_half * (1 - furthest_half)
    half = 1 if away_half < away else 0
    moved = (which_half if odd_half else -1) if half else (which if odd else -1)
    for i in range(8):
        y = np.float64(x[start + i]) * inverse if start + i < x.size else 0.0
        point[i] = 2 * np.int64(np.floor(y / 2) if half else np.rint(y / 2)) + half
        if i == moved:
            point[i] += 2 if y >= point[i] else -2


@kernel
def _measure(x, inverse):  # noqa: ANN001, ANN202
    """<x, w> and ||w||^2 for the nearest points w, in halves of the step."""
    inner = squared = 0.0
    point = np.empty(8, np.int64)
    for start in range(0, x.size, 8):
        _nearest(x, start, inverse, point)
        for i in range(min(8, x.size - start)):
            level = np.float64(point[i])
            inner += level * np.float64(x[start + i])
            squared += level * level
    return inner, squared


@kernel
def _fill(x, inverse, levels):  # noqa: ANN001, ANN202
    """The nearest points, in halves of the step."""
    point = np.empty(8, np.int64)
    for start in range(0, x.size, 8):
        _nearest(x, start, inverse, point)
        for i in range(min(8, x.size - start)):
            levels[start + i] = point[i]


def _groups(x: NDArray[Any], inverse: float) -> list[NDArray[np.int32]]:
    """Cosets, seven coordinates by coset, half of the eighth by coset and parity of the seven."""
    levels = np.empty((_SIZE + 1) * -(-x.size // _SIZE), np.int32)
    places = np.zeros(_GROUPS, np.int64)
    _count(x, inverse, places)
    ends = np.cumsum(places)
    places[:] = ends - places
    _split(x, inverse, places, levels)
    return np.split(levels, ends[:-1])


@kernel
def _parity(point):  # noqa: ANN001, ANN202
    """Of the sum of the first seven coordinates, rounded down to whole steps."""
    odd = 0
    for i in range(7):
        odd ^= (point[i] >> 1) & 1
    return odd


@kernel
def _count(x, inverse, sizes):  # noqa: ANN001, ANN202
    """Add the size of every group to ``sizes``."""
    point = np.empty(8, np.int64)
    for start in range(0, x.size, 8):
        _nearest(x, start, inverse, point)
        coset = point[0] & 1
        sizes[0] += 1
        sizes[1 + coset] += 7
        sizes[3 + 2 * coset + _parity(point)] += 1


@kernel
def _split(x, inverse, places, levels):  # noqa: ANN001, ANN202
    """Put every number to the next place of its group; ``places`` moves on."""
    point = np.empty(8, np.int64)
    for start in range(0, x.size, 8):
        _nearest(x, start, inverse, point)
        coset, parity = point[0] & 1, _parity(point)
        levels[places[0]] = coset
        places[0] += 1
        for i in range(7):
            levels[places[1 + coset]] = point[i] >> 1
            places[1 + coset] += 1
        eighth = 3 + 2 * coset + parity
        levels[places[eighth]] = ((point[7] >> 1) - parity) >> 1
        places[eighth] += 1


def _sizes(levels: NDArray[np.signedinteger], count: int) -> list[int]:
    """Sizes of the groups after the cosets, as far as ``levels`` tell them."""
    cosets = levels[:count]
    odd = int(np.count_nonzero(cosets))
    sevens = (_SIZE - 1) * np.array([count - odd, odd])
    if levels.size < _SIZE * count:
        return sevens.tolist()
    whole = levels[count : _SIZE * count].reshape(-1, _SIZE - 1)
    parities = np.bitwise_xor.reduce(whole & 1, axis=1)
    ones = [int(parities[: count - odd].sum()), int(parities[count - odd :].sum())]
    return [*sevens.tolist(), count - odd - ones[0], ones[0], odd - ones[1], ones[1]]


def _size_of(group: int, count: int, levels: NDArray[np.signedinteger]) -> int:
    """The size of a group, given all that was read before it. Raises FormatError for no coset."""
    cosets = levels[:count]
    if group == 1 and (cosets.min() < 0 or cosets.max() > 1):
        raise FormatError(f"a coset is {cosets.min()} or {cosets.max()}; allowed are 0 and 1")
    return _sizes(levels, count)[group - 1]


@kernel
def _merge(levels, places, scale, values):  # noqa: ANN001, ANN202
    """Take the numbers of each eight coordinates from their groups; ``places`` moves on."""
    for block in range(places[0]):
        coset = np.int64(levels[block])
        odd = 0
        for i in range(7):
            whole = np.int64(levels[places[coset]])
            places[coset] += 1
            odd ^= whole & 1
            if 8 * block + i < values.size:
                values[8 * block + i] = scale * np.float64(2 * whole + coset)
        eighth = 2 + 2 * coset + odd
        whole = 2 * np.int64(levels[places[eighth]]) + odd
        places[eighth] += 1
        if 8 * block + 7 < values.size:
            values[8 * block + 7] = scale * np.float64(2 * whole + coset)
