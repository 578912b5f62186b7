"""A model's floating-point arrays as one vector, in pieces fit for messages, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def flatten(arrays: Mapping[str, Array]) -> tuple[Array, list[Array]]:
    """All floats as one vector, float32 unless some are float64, and the other arrays as they are.

    >>> flatten({"bias": np.ones(2, np.float16), "steps": np.array(7)})
    (array([1., 1.], dtype=float32), [array(7)])
    """
    floats = [x.reshape(-1) for x in arrays.values() if x.dtype.kind == "f"]
    dtype = np.float64 if any(x.dtype == np.float64 for x in floats) else np.float32
    vector = np.concatenate([np.empty(0, dtype), *floats], dtype=dtype)
    return vector, [x for x in arrays.values() if x.dtype.kind != "f"]


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
            arrays[name] = next(rest)
    return arrays
