"""What the bounds accept: arguments are checked here, by name, before any work."""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Result = float | NDArray[np.float64]


def _numbers(name: str, value: ArrayLike, allowed: str) -> NDArray[np.float64]:
    raw = np.asarray(value)
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be {allowed}, got {value!r}")
    return raw.astype(np.float64)


def _require(holds: NDArray[np.bool_], name: str, values: NDArray, allowed: str) -> None:
    if not np.all(holds):
        first_bad = values[~holds].flat[0] if values.ndim else values
        raise ValueError(f"{name} must be {allowed}, got {first_bad:g}")


def fraction(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return a distortion such as alpha or nu as float64, strictly between 0 and 1."""
    allowed = "strictly between 0 and 1"
    values = _numbers(name, value, allowed)
    _require((values > 0) & (values < 1), name, values, allowed)
    return values


def positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return a level such as omega as float64, positive and finite."""
    allowed = "positive and finite"
    values = _numbers(name, value, allowed)
    _require((values > 0) & np.isfinite(values), name, values, allowed)
    return values


def probability(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return a probability of success as float64, above 0 and at most 1."""
    allowed = "above 0 and at most 1"
    values = _numbers(name, value, allowed)
    _require((values > 0) & (values <= 1), name, values, allowed)
    return values


def share(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return a share of the coordinates as float64, from 0 to 1."""
    allowed = "from 0 to 1"
    values = _numbers(name, value, allowed)
    _require((values >= 0) & (values <= 1), name, values, allowed)
    return values


def whole(name: str, value: ArrayLike, least: int = 1) -> NDArray[np.float64]:
    """Return a count such as the dimension d as float64, a whole number >= least."""
    allowed = f"a whole number >= {least}"
    values = _numbers(name, value, allowed)
    _require(
        (values >= least) & np.isfinite(values) & (np.floor(values) == values),
        name,
        values,
        allowed,
    )
    return values


@overload
def result(values: float) -> float: ...
@overload
def result(values: ArrayLike) -> Result: ...
def result(values: ArrayLike) -> Result:
    """Return an array as it is and a scalar as a Python float."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim else float(array)
