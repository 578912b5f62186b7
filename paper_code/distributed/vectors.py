"""Vectors of many coordinates: cut into pieces, put together, worked on side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..numerics import norms

Array = NDArray[Any]
Item = TypeVar("Item")
Result = TypeVar("Result")

PIECE = 1 << 20
"""Most coordinates of one message; a longer vector is cut, which bounds the encoder's memory."""


def cut(x: Array, count: int) -> list[Array]:
    """The vector ``x`` in ``count`` consecutive views of nearly one length."""
    ends = [len(x) * i // count for i in range(count + 1)]
    return [x[first:last] for first, last in pairwise(ends)]


def pieces(x: Array) -> list[Array]:
    """The vector ``x`` in consecutive views of at most ``PIECE`` coordinates, of nearly one length.

    None is so short that a compressor, such as Top-k, could refuse it but not the others.
    """
    return cut(x, -(-len(x) // PIECE)) if len(x) else []


def joined(parts: Iterable[Array], dtype: np.dtype[Any] | type) -> Array:
    """One vector of all parts, flattened, in their order; empty where there are none.

    A new one, but where the only part is such a vector already.
    """
    flat = [x.reshape(-1) for x in parts]
    if len(flat) == 1:
        return flat[0].astype(dtype, copy=False)
    return np.concatenate([np.empty(0, dtype), *flat], dtype=dtype)


def split(x: Array, shapes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """The vector ``x`` as views of these shapes, by name: the inverse of ``joined``."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()], dtype=int)
    parts = np.split(x, ends)[:-1]
    pairs = zip(shapes.items(), parts, strict=True)
    return {name: part.reshape(tuple(shape)) for (name, shape), part in pairs}


def mean(parts: Sequence[Array], out: Array | None = None) -> Array:
    """The sum of vectors in the order given, divided by their number; in ``out``, if not of one.

    Where that is one of the vectors it is the first.
    """
    if len(parts) == 1:
        return parts[0]
    total = np.add(parts[0], parts[1], out=out)
    for part in parts[2:]:
        total += part
    total /= len(parts)
    return total


def first_not_finite(x: Array) -> int | None:
    """Index of the first value that is infinite or NaN; None if there is none."""
    if not len(x) or math.isfinite(norms.peak(x)):
        return None
    return int(np.flatnonzero(~np.isfinite(x))[0])


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> list[Result]:
    """``work(item)`` for every item, in as many as ``threads`` at a time; the results in order.

    Raises ValueError for less than one thread, and what the first failed ``work`` raises.
    """
    check_threads(threads)
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(work, items))


def check_threads(threads: object) -> None:
    """Raise ValueError unless ``threads`` is a whole number of at least 1."""
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads is {threads!r}; allowed are whole numbers from 1 on")


def generators(rng: np.random.Generator | None, count: int) -> list[np.random.Generator | None]:
    """One generator for each of ``count`` pieces, drawn from ``rng`` in order before any is used.

    So what a piece draws does not depend on which thread comes first. One piece has ``rng`` itself.
    """
    if rng is None or count == 1:
        return [rng] * count
    seeds = [int.from_bytes(rng.bytes(16), "little") for _ in range(count)]
    return [np.random.default_rng(seed) for seed in seeds]
