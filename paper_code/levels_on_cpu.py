"""The loops of Sparse Dithering over arrays, shared out among threads."""

# ruff: noqa: ANN001, ANN202 - of kernels numba infers the types

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import level_kernels, threads
from .bits import BitWriter
from .codes import write_unary
from .kernels import kernel, peak, sum_of_squares
from .message import Header
from .uniforms import drawn

__all__ = [
    "Fields",
    "count",
    "distortion",
    "members",
    "peak",
    "round_at_random",
    "round_to_nearest",
    "sum_of_squares",
    "values_of",
    "write_mask",
    "write_signs",
    "write_unary",
]

Levels = NDArray[np.signedinteger]

write_mask, write_signs = BitWriter.write_mask, BitWriter.write_signs


class Fields(NamedTuple):
    """Where the parts of a payload lie: words of 64 bits, and positions in bits."""

    gamma: float
    mask: NDArray[np.uint64]
    at_mask: int
    words: NDArray[np.uint64]
    at_signs: int
    at_levels: int
    end: int


def round_to_nearest(x: NDArray[Any], gamma: float, dtype: str) -> Levels:
    """The signed levels sign(x_i) ceil(|x_i| / gamma - 1/2): a tie goes to the cheaper one."""
    levels = np.empty(x.size, dtype)
    threads.each(lambda part, held: _round_to_nearest(part, gamma, held), x, levels)
    return levels


def round_at_random(x: NDArray[Any], gamma: float, dtype: str, rng: np.random.Generator) -> Levels:
    """The signed levels sign(x_i) floor(|x_i| / gamma + u_i), u_i uniform in [0, 1)."""
    levels = np.empty(x.size, dtype)
    for part, uniforms in drawn(x.size, rng):
        _round_with(x[part], gamma, uniforms, levels[part])
    return levels


def count(levels: Levels) -> int:
    """How many levels are not zero."""
    return sum(map(int, threads.each(np.count_nonzero, levels)))


def members(levels: Levels) -> NDArray[np.bool_]:
    """Which levels are not zero."""
    return levels != 0


def distortion(x: NDArray[Any], gamma: float, levels: Levels, header: Header) -> float:
    """||C(x) - x||^2 / ||x||^2 for the values that the receiver will hold."""
    sent = np.multiply(levels, gamma, dtype=np.float64).astype(header.working_dtype)
    return sum_of_squares(header.rounded(sent) - x) / sum_of_squares(x)


def values_of(fields: Fields | None, header: Header) -> NDArray[Any]:
    """The decoded vector, in the working dtype; zero where there are no fields."""
    values = np.zeros(header.d, header.working_dtype)
    if fields is None:
        return values
    gamma, mask, at_mask, words, at_signs, at_levels, end = fields
    get_levels = level_kernels.get_levels
    if threads.alone(header.d):
        get_levels(mask, at_mask, words, at_signs, at_levels, gamma, values)
        return values
    parts = threads.chunks(header.d)
    sizes = [(at_mask + part.start, part.stop - part.start) for part in parts]
    counts = threads.share_out(lambda size: level_kernels.count_ones(mask, *size), sizes)
    starts = []  # of each chunk's signs and levels
    for nonzero in counts:
        starts.append((at_signs, at_levels))
        at_signs += nonzero
        at_levels = level_kernels.after_ones(words, at_levels, end, nonzero)
    threads.share_out(
        lambda item: get_levels(mask, item[0][0], words, *item[1], gamma, values[item[2]]),
        list(zip(sizes, starts, parts, strict=True)),
    )
    return values


@kernel
def _round_to_nearest(x, gamma, levels):
    inverse = 1.0 / gamma
    for i in range(x.size):
        level = np.ceil(abs(np.float64(x[i])) * inverse - 0.5)
        levels[i] = np.int32(-level if x[i] < 0 else level)


@kernel
def _round_with(x, gamma, uniforms, levels):
    inverse = 1.0 / gamma
    for i in range(x.size):
        level = np.floor(abs(np.float64(x[i])) * inverse + uniforms[i])
        levels[i] = np.int32(-level if x[i] < 0 else level)
