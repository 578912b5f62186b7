"""Vectors as arrays, or as torch tensors that stay on their GPU: what exchanging needs of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..numerics import norms

if TYPE_CHECKING:
    import torch

    Vector = NDArray[Any] | torch.Tensor


PIECE = 1 << 20
"""Most coordinates of one message; a longer vector is cut, which bounds the encoder's memory."""


def cut(x: Vector, count: int) -> list[Vector]:
    """The vector ``x`` in ``count`` consecutive views of nearly one length."""
    ends = [len(x) * i // count for i in range(count + 1)]
    return [x[first:last] for first, last in pairwise(ends)]


def pieces(x: Vector) -> list[Vector]:
    """The vector ``x`` in consecutive views of at most ``PIECE`` coordinates, of nearly one length.

    None is so short that a compressor, such as Top-k, could refuse it but not the others.
    """
    return cut(x, -(-len(x) // PIECE)) if len(x) else []


def zeros_like(x: Vector, size: int) -> Vector:
    """``size`` zeros of the kind of ``x``."""
    return np.zeros(size, x.dtype) if isinstance(x, np.ndarray) else x.new_zeros(size)


def joined(parts: Sequence[Vector]) -> Vector:
    """One vector of all parts, which are of one kind; never a view of them."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import torch

    return torch.cat(list(parts))


def mean(parts: Sequence[Vector]) -> Vector:
    """Their sum in the order given, divided by their number: the same bits on every device."""
    total = sum(parts[1:], parts[0])
    # by a number of its own kind: torch would multiply by the inverse of a Python number on a GPU
    return total / (zeros_like(total, 1) + len(parts))


def check_kind(x: Vector) -> None:
    """Raise TypeError unless ``x`` is a vector of float32 or float64 that averaging takes."""
    if isinstance(x, np.ndarray):
        if x.ndim == 1 and str(x.dtype).removeprefix("torch.") in ("float32", "float64"):
            return
        raise TypeError(f"x is {x.ndim}-d of {x.dtype}; allowed are float32 and float64 vectors")
    raise TypeError(f"x is a {type(x).__name__}; allowed are arrays")


def first_not_finite(x: Vector) -> int | None:
    """Index of the first value that is infinite or NaN; None if there is none."""
    if not len(x):
        return None
    if isinstance(x, np.ndarray):
        finite = math.isfinite(norms.peak(x))
        return None if finite else int(np.flatnonzero(~np.isfinite(x))[0])
    odd = (~x.isfinite()).nonzero()
    return int(odd[0]) if len(odd) else None
