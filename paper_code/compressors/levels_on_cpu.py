"""The loops of Sparse Dithering over arrays, shared out among threads."""

# ruff: noqa: ANN001, ANN202 - of kernels numba infers the types

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..coding import words as level_kernels
from ..coding.bits import BitWriter
from ..coding.codes import write_unary
from ..messages.message import Header
from ..numerics import threads
from ..numerics.compiled import kernel
from ..numerics.norms import peak, sum_of_squares
from ..numerics.random_streams import drawn

__all__ = [
    "Fields",
    "count",
    "distortion",
    "members",
    "peak",
    "places",
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


class Place(NamedTuple):
    """Where the bits of some coordinates begin: in the mask, among the signs, among the levels."""

    at_mask: int
    at_signs: int
    at_levels: int


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

    def fill(item: tuple[slice, Place]) -> None:
        part, place = item
        level_kernels.get_levels(
            fields.mask,
            place.at_mask,
            fields.words,
            place.at_signs,
            place.at_levels,
            fields.gamma,
            values[part],
        )

    parts = threads.chunks(header.d)
    threads.share_out(fill, list(zip(parts, places(fields, parts), strict=True)))
    return values


def places(fields: Fields, parts: Sequence[slice]) -> list[Place]:
    """Where the bits of each part of the vector begin; the parts follow each other."""
    if len(parts) == 1:
        return [Place(fields.at_mask, fields.at_signs, fields.at_levels)]

    def count_ones(part: slice) -> int:
        return level_kernels.count_ones(
            fields.mask, fields.at_mask + part.start, part.stop - part.start
        )

    found, at_signs, at_levels = [], fields.at_signs, fields.at_levels
    for part, nonzero in zip(parts, threads.share_out(count_ones, parts), strict=True):
        found.append(Place(fields.at_mask + part.start, at_signs, at_levels))
        at_signs += nonzero
        at_levels = level_kernels.after_ones(fields.words, at_levels, fields.end, nonzero)
    return found


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
