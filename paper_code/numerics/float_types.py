"""Arrays in and out: which element types are carried, and how values are rounded to them."""

from __future__ import annotations

import math

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
    with np.errstate(over="ignore", under="ignore"):
        if dtype == "bfloat16":
            return to_bfloat16(values)
        return values.astype(dtype, copy=False)


def is_extreme(peak: float, dtype: str, within: float) -> bool:
    """Whether a largest magnitude is near an end of its type's range, up to that factor."""
    return peak > 0 and not within / LARGEST[dtype] < peak < LARGEST[dtype] / within


def float32_below(value: float, bits: int = 31) -> float:
    """The largest float32 that is at most ``value`` >= 0, or the nearest where ``bits`` is 31.

    Of fewer ``bits``, 8 are the exponent and the rest are the mantissa's first.
    """
    if bits == 31:
        single = np.float32(value)
        # A Python float is compared as a float32, so this is the nearest. Frames are written so.
        return float(single if single <= value else np.nextafter(single, np.float32(0)))
    mantissa, exponent = math.frexp(value)
    return math.ldexp(math.floor(math.ldexp(mantissa, bits - 7)), exponent - (bits - 7))


def float32_near(value: float, bits: int = 31) -> float:
    """The float32 nearest to ``value`` >= 0, of so many bits as in ``float32_below``.

    Relative error at most 2**(7 - bits) in the normal range, 2**-126 and above.
    """
    if bits == 31:
        return float(np.float32(value))
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(mantissa, bits - 7)), exponent - (bits - 7))


def float32_above(value: float) -> float:
    """The least float32 that is at least ``value`` >= 0: as a scale it keeps ratios below 1."""
    single = np.float32(value)
    return float(single if single >= value else np.nextafter(single, np.float32(np.inf)))
