"""Arrays in and out: which element types are carried, and how values are rounded to them."""

from __future__ import annotations

import sys
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
    if is_tensor(x):
        x, dtype = _from_tensor(x)
    else:
        x = np.asarray(x)
        dtype = dtype_name(x)
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


def is_tensor(x: Any) -> bool:  # noqa: ANN401
    """Whether ``x`` is a torch tensor, without importing torch."""
    return "torch" in sys.modules and isinstance(x, sys.modules["torch"].Tensor)


def dtype_name(x: Any) -> str:  # noqa: ANN401
    """The element type of an array or a tensor, such as "float32"."""
    return str(x.dtype).removeprefix("torch.") if is_tensor(x) else x.dtype.name


def _from_tensor(x: Any) -> tuple[NDArray[Any], str]:  # noqa: ANN401
    """The values of a tensor, and the name of its element type."""
    dtype = dtype_name(x)
    if x.is_meta or str(x.layout) != "torch.strided":
        raise TypeError(f"x is a tensor on {x.device}, {x.layout}; its values must be at hand")
    if x.is_floating_point() and dtype not in DTYPES:
        raise TypeError(f"x has dtype {dtype}; allowed are {', '.join(DTYPES)} and integers")
    x = x.detach().cpu()
    return (x.float() if dtype == "bfloat16" else x).numpy(), dtype


def to_kind_of(x: Any, array: NDArray[Any]) -> Any:  # noqa: ANN401
    """``array`` as the kind of thing that ``x`` is: a torch tensor on its device, or an array.

    In the element type of x if that is a floating-point one: integers would cut the values off.
    """
    if not is_tensor(x):
        return array
    tensor = sys.modules["torch"].from_numpy(np.asarray(array)).to(x.device)
    return tensor.to(x.dtype) if x.is_floating_point() else tensor
