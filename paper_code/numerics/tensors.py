"""Arrays and torch tensors told apart, and turned into each other."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .float_types import DTYPES, MAX_DIMENSIONS

_EXACT = 2**53


def as_array(x: Any) -> tuple[NDArray[np.floating], str]:
    """``x`` as a contiguous float32 or float64 array, with the name of its own element type.

    Accepts arrays of any shape, numbers, lists, and torch tensors; integers become float64.
    Raises TypeError for complex, masked or non-numeric input, ValueError for an empty array and
    for integers beyond 2**53.
    """
    if is_tensor(x):
        x, dtype = _from_tensor(x)
    else:
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError("x is a masked array; send x.filled(0) or x.compressed() instead")
        x = np.asarray(x)
        dtype = dtype_name(x)
    if x.dtype.kind in "iu":
        x, dtype = _from_integers(x), "float64"
    if dtype not in DTYPES:
        raise TypeError(f"x has dtype {dtype}; allowed are {', '.join(DTYPES)} and integers")
    if x.size == 0:
        raise ValueError(f"x is empty (shape {x.shape}); at least one coordinate is needed")
    if x.ndim > MAX_DIMENSIONS:
        raise ValueError(f"x has {x.ndim} dimensions; allowed are at most {MAX_DIMENSIONS}")
    wide = np.ascontiguousarray(x, np.float64 if dtype == "float64" else np.float32)
    return wide.reshape(x.shape), dtype


def _from_integers(x: NDArray[np.integer]) -> NDArray[np.float64]:
    """The same numbers in float64. Raises ValueError for one that it does not hold."""
    if x.itemsize == 8 and x.size and (x.max() > _EXACT or x.min() < -_EXACT):
        first = int(np.flatnonzero((x > _EXACT) | (x < -_EXACT))[0])
        raise ValueError(
            f"x[{first}] (flat index) is {x.reshape(-1)[first]}; integers travel as float64, which "
            "is exact from -2**53 to 2**53"
        )
    return x.astype(np.float64)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a torch tensor, without importing torch."""
    return "torch" in sys.modules and isinstance(x, sys.modules["torch"].Tensor)


def dtype_name(x: Any) -> str:
    """The element type of an array or a tensor, such as "float32"."""
    return str(x.dtype).removeprefix("torch.") if is_tensor(x) else x.dtype.name


def _from_tensor(x: Any) -> tuple[NDArray[Any], str]:
    """The values of a tensor, and the name of its element type."""
    dtype = dtype_name(x)
    if x.is_meta or str(x.layout) != "torch.strided":
        raise TypeError(f"x is a tensor on {x.device}, {x.layout}; its values must be at hand")
    if x.is_floating_point() and dtype not in DTYPES:
        raise TypeError(f"x has dtype {dtype}; allowed are {', '.join(DTYPES)} and integers")
    x = x.detach().cpu().resolve_conj().resolve_neg()
    return (x.float() if dtype == "bfloat16" else x).numpy(), dtype


def to_kind_of(x: Any, array: NDArray[Any]) -> Any:
    """``array`` as the kind of thing that ``x`` is: a torch tensor on its device, or an array.

    In the element type of x if that is a floating-point one: integers would cut the values off.
    """
    if not is_tensor(x):
        return array
    tensor = sys.modules["torch"].from_numpy(np.asarray(array)).to(x.device)
    return tensor.to(x.dtype) if x.is_floating_point() else tensor
