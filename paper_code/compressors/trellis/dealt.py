"""The payload of one path whose levels are sorted by class: what wire identifier 13 has.

Coordinates are dealt out to 64 sequences from 2^14 on, else they are one. It is also how short
vectors are sent, and long ones that defeat the search with one step for each chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.alphabet import REACH
from ...coding.bits import BitReader, BitWriter, FormatError
from ...coding.entropy_coder import read_levels, write_levels
from ...coding.models import SHAPE_BITS, points
from ...messages.message import Header
from ...numerics.blocks import blocks
from ..step_search import finite, held_error
from .model_fit import cheapest_point_model
from .tuning import LANES_DIM, Path, tune
from .viterbi import CLASSES, LANES, join, split, ungerboeck_trellis

_ZERO_BITS = 3
_ZEROS = 1 << _ZERO_BITS


class _PointModels:
    """Models of the levels at even and odd states; a factor for the zeros of the even ones."""

    width = SHAPE_BITS + 2 * _ZERO_BITS

    def weights(self, name: int) -> NDArray[np.int64]:
        """Level k at a state of parity z is the point 2 k + z."""
        weights = _plain(name >> 2 * _ZERO_BITS).copy()
        for row, factor in enumerate((name >> _ZERO_BITS & _ZEROS - 1, name & _ZEROS - 1)):
            weights[row, REACH] = max(weights[row, REACH] * _times(factor) >> 3, 1)
        return weights

    def fit(self, histograms: NDArray[np.int64]) -> int:
        place = [int(part) for part in cheapest_point_model(histograms)]
        return self._name(place)

    @staticmethod
    def _name(place: Sequence[int]) -> int:
        scale, normal, first, second = place
        return ((2 * scale + normal) << _ZERO_BITS | first) << _ZERO_BITS | second


@lru_cache(maxsize=64)
def _plain(shape: int) -> NDArray[np.int64]:
    even = points(shape, 2, 0)
    return np.concatenate([even, even, points(shape, 2, 1)])


def _times(factor: int) -> int:
    """Eight times the factor that three bits name: 1/4, 3/8, 1/2, 3/4, 1, 3/2, 2, 3."""
    return (2 + factor % 2) << factor // 2


def write(
    writer: BitWriter,
    x: NDArray[Any],
    energy: float,
    alpha: float,
    states: int,
    unbiased: bool,
    header: Header,
) -> None:
    """Write a path of x, whose ||x||^2 is ``energy``, that meets alpha.

    Where it is unbiased x has been rotated, and the scale makes <x, C(x)> = ||x||^2. Raises
    ValueError where nothing meets alpha.
    """
    if unbiased:
        _, path = tune(x, energy, alpha, ungerboeck_trellis(states), None)
        scale = float(np.float32(energy / path.inner))
    else:
        scale, path = _strict(x, energy, alpha, states, header)
    codes.write_positive_float(writer, scale)
    sizes = path.counts.sum(axis=1)
    _write_sizes(writer, sizes, x.size)
    ends, fits = np.cumsum(sizes), not np.any(path.counts[:, -1])  # all |n| are below RATES
    levels = np.empty(x.size, np.int8 if fits else np.int32)
    split(path.integers, _lanes(x.size), ungerboeck_trellis(states), ends, levels)
    del path
    write_levels(writer, np.split(levels, ends[:-1]), _PointModels())


def _strict(
    x: NDArray[Any], energy: float, alpha: float, states: int, header: Header
) -> tuple[float, Path]:
    """A path that meets alpha as the receiver will see it."""
    target, step, trellis = alpha, None, ungerboeck_trellis(states)
    while target > 1e-3 * alpha:
        step, path = tune(x, energy, target, trellis, step)
        scale = float(np.float32(path.scale))
        excess = held_error(x, energy, blocks(path.integers), scale, header) - alpha
        if excess <= 0:
            return scale, path
        # rounding to the element type adds to the error: aim lower
        target = max(target - 2 * excess, target / 4) * (1 - 1e-6)
    raise ValueError(f"alpha is {alpha}, which is finer than {header.dtype} can hold")


def read(reader: BitReader, header: Header, states: int) -> NDArray[Any]:
    """The values that ``write`` wrote; zeros where the scale is 0, which then ends the payload."""
    d, values = header.d, np.zeros(header.d, header.working_dtype)
    reader.label("scale")
    scale = codes.read_positive_float(reader)
    if scale == 0:
        return values
    reader.label("class sizes")
    sizes = _read_sizes(reader, d)
    levels = read_levels(reader, sizes, _PointModels())
    trellis, ends = ungerboeck_trellis(states), np.cumsum(sizes)
    if not join(levels, _lanes(d), trellis, ends, scale, values):
        raise FormatError("the path of the trellis needs more levels of a class than there are")
    return finite(values)


def _write_sizes(writer: BitWriter, sizes: NDArray[np.int64], d: int) -> None:
    """How many levels each class has; see ``_read_sizes``."""
    left = d
    for size in sizes[:0:-1].tolist():
        writer.write_uint(size, left.bit_length())
        left -= size


def _read_sizes(reader: BitReader, d: int) -> list[int]:
    """How many levels each class has; the last is told first, and the first is what is left."""
    sizes, left = [], d
    for _ in range(CLASSES - 1):
        sizes.append(reader.read_uint(left.bit_length()))
        left -= sizes[-1]
        if left < 0:
            raise FormatError(f"classes of {sizes} levels, more than d = {d}")
    return [left, *reversed(sizes)]


def _lanes(d: int) -> int:
    """Sequences that the coordinates are dealt out to, in turn."""
    return LANES if d >= LANES_DIM else 1
