"""Arrays in and out: which element types are carried, and how values are rounded to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float16", "bfloat16", "float32", "float64")
LARGEST = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}
"""Largest finite number of each type."""

SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}
"""Smallest positive number of each type."""

MAX_DIMENSIONS = 15
"""Of an array: the frame gives their number half a byte."""

ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
"""Largest relative error of rounding a normal number to the type."""


def to_bfloat16(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round to the nearest bfloat16 (ties to even), held in float32, which NumPy knows."""
    patterns = values.astype(np.float32).view(np.uint32)
    bias = ((patterns >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
    return ((patterns + bias) & np.uint32(0xFFFF0000)).view(np.float32)


def round_to(values: NDArray[np.floating], dtype: str) -> NDArray[np.floating]:
    """``values`` in the element type ``dtype``; what does not fit becomes infinite, silently.

    The encoder checks for that (see ``Compressor.encode``): the decoder must not warn.
    """
    with np.errstate(over="ignore"):
        if dtype == "bfloat16":
            return to_bfloat16(values)
        return values.astype(dtype, copy=False)


def as_array(x: Any) -> tuple[NDArray[np.floating], str]:  # noqa: ANN401 - lists, arrays, tensors
    """``x`` as a contiguous float32 or float64 array, with the name of its own element type.

    Accepts arrays of any shape, numbers, lists, and torch tensors; integers become float64.
    Raises TypeError for complex or non-numeric input, ValueError for an empty array.
    """
    if type(x).__module__.partition(".")[0] == "torch":
        dtype = str(x.dtype).removeprefix("torch.")
        x = x.detach().cpu()
        x = (x.float() if dtype == "bfloat16" else x).numpy()
    else:
        x = np.asarray(x)
        dtype = x.dtype.name
    if x.dtype.kind in "iu":
        x, dtype = x.astype(np.float64), "float64"
    if dtype not in DTYPES:
        raise TypeError(f"x has dtype {dtype}; allowed are {', '.join(DTYPES)} and integers")
    if x.size == 0:
        raise ValueError(f"x is empty (shape {x.shape}); at least one coordinate is needed")
    if x.ndim > MAX_DIMENSIONS:
        raise ValueError(f"x has {x.ndim} dimensions; allowed are at most {MAX_DIMENSIONS}")
    wide = np.ascontiguousarray(x, np.float64 if dtype == "float64" else np.float32)
    return wide.reshape(x.shape), dtype


def to_kind_of(x: Any, array: NDArray[np.floating]) -> Any:  # noqa: ANN401
    """``array`` as the kind of thing that ``x`` is: a torch tensor on its device, or an array."""
    if type(x).__module__.partition(".")[0] != "torch":
        return array
    import torch

    return torch.from_numpy(array).to(dtype=x.dtype, device=x.device)
