"""Vectors as arrays, or as torch tensors that stay on their GPU: what exchanging needs of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import kernels

if TYPE_CHECKING:
    import torch

    Vector = NDArray[Any] | torch.Tensor


PIECE = 1 << 20
"""Most coordinates of one message; a longer vector is cut, which bounds the encoder's memory."""


def pieces(x: Vector) -> list[Vector]:
    """The vector ``x`` in consecutive views of at most ``PIECE`` coordinates."""
    return [x[first : first + PIECE] for first in range(0, len(x), PIECE)]


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


def first_not_finite(x: Vector) -> int | None:
    """Index of the first value that is infinite or NaN; None if there is none."""
    if not len(x):
        return None
    if isinstance(x, np.ndarray):
        finite = math.isfinite(kernels.peak(x))
        return None if finite else int(np.flatnonzero(~np.isfinite(x))[0])
    odd = (~x.isfinite()).nonzero()
    return int(odd[0]) if len(odd) else None
