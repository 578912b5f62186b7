"""The largest magnitude sees every coordinate; the sum of squares adds in one order, exactly."""

import math
from fractions import Fraction

import numpy as np
import pytest

from paper_code.numerics import norms


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_peak_sees_every_place_and_what_is_not_finite(dtype: type) -> None:
    for d in (1, 7, 64, 1001):
        for i in {0, d // 2, d - 1}:
            for value in (-3.0, np.inf, -np.inf, np.nan):
                x = np.ones(d, dtype)
                x[i] = value
                assert norms.peak(x) == abs(value) or (np.isnan(value) and np.isnan(norms.peak(x)))


@pytest.mark.parametrize("d", [1, 2, 3, 4095, 4096, 4097, 10_000])
def test_sum_of_squares_against_exact_fractions(d: int) -> None:
    """Twelve roundings on a tree's way up, one of the square, one of the exact sum of trees."""
    x = np.random.default_rng(d).standard_normal(d)
    exact = sum(Fraction(value) ** 2 for value in x.tolist())
    assert abs(Fraction(norms.sum_of_squares(x)) - exact) <= 14 * 2.0**-53 * exact
    integers = np.arange(d, dtype=np.float64)  # squares below 2**53 add up without rounding
    assert norms.sum_of_squares(integers) == math.fsum(integers**2)
