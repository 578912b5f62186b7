"""Refusals of bad numbers, one line each, that name the argument and what is allowed."""

import numpy as np
from numpy.typing import NDArray


def check_array(name: str, array: NDArray[np.float64], dimensions: int) -> None:
    """Refuse what is not a finite, non-empty float64 array of that many dimensions."""
    if getattr(array, "dtype", None) != np.float64:
        raise TypeError(
            f"{name} must be a float64 array, got {getattr(array, 'dtype', type(array))}"
        )
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name} must be {dimensions}-d and not empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")


def check_samples(features: NDArray[np.float64], target: NDArray[np.float64]) -> None:
    check_array("features", features, dimensions=2)
    check_array("target", target, dimensions=1)
    if len(features) != len(target):
        raise ValueError(f"features has {len(features)} rows but target has {len(target)}")


def check_regularisation(regularisation: float) -> None:
    if not 0 < regularisation < np.inf:
        raise ValueError(f"regularisation must be positive and finite, got {regularisation}")
