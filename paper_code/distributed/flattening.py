"""A model's floating-point arrays as one vector, in pieces fit for messages, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .vectors import first_not_finite

Array = NDArray[Any]
Flat = tuple[Array, list[Array]]


def flatten(arrays: Mapping[str, Array]) -> Flat:
    """All floats as one vector, float32 unless some are longer, and the other arrays as they are.

    >>> flatten({"bias": np.ones(2, np.float16), "steps": np.array(7)})
    (array([1., 1.], dtype=float32), [array(7)])
    """
    floats = [x.reshape(-1) for x in arrays.values() if x.dtype.kind == "f"]
    dtype = np.float64 if any(x.dtype.itemsize > 4 for x in floats) else np.float32
    vector = np.concatenate([np.empty(0, dtype), *floats], dtype=dtype)
    return vector, [x for x in arrays.values() if x.dtype.kind != "f"]


def flatten_change(after: Mapping[str, Array], before: Mapping[str, Array]) -> Flat:
    """The floats of ``after`` less those of ``before``, and the other arrays of ``after``.

    Raises ValueError where names, shapes or types differ, and for what is not finite.
    """
    kinds, known = ([(n, x.shape, x.dtype) for n, x in a.items()] for a in (after, before))
    if kinds != known:
        raise ValueError(f"reply has arrays {kinds}, but the message had {known}")
    if (name := not_finite(after)) is not None:
        raise ValueError(f"array {name!r} is not finite after training")
    (new, others), (old, _) = flatten(after), flatten(before)
    with np.errstate(over="ignore"):  # refused in a moment
        change = new - old
    if (i := first_not_finite(change)) is not None:
        raise ValueError(f"the change of weights must be finite, but its number {i} is {change[i]}")
    return change, others


def not_finite(arrays: Mapping[str, Array]) -> str | None:
    """The name of the first array that holds NaN or an infinity."""
    return next((name for name, x in arrays.items() if not np.isfinite(x).all()), None)


def restore(vector: Array, others: Sequence[Array], like: Mapping[str, Array]) -> dict[str, Array]:
    """Inverse of ``flatten``: arrays of the names, shapes and types of ``like``.

    What does not fit a narrower type becomes infinite, silently.
    """
    arrays, rest = {}, iter(others)
    for name, old in like.items():
        if old.dtype.kind == "f":
            part, vector = np.split(vector, [old.size])
            with np.errstate(over="ignore"):
                arrays[name] = part.astype(old.dtype).reshape(old.shape)
        else:
            arrays[name] = next(rest).astype(old.dtype, copy=False)  # byte order too
    return arrays
