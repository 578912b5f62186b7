"""Normals from plain arithmetic are those of the mathematical library, to rounding."""

import math

import numpy as np
from scipy import stats

from paper_code.numerics.portable_normals import _cosine_and_sine, _logarithm, portable_normals


def test_logarithm_cosine_and_sine() -> None:
    for u in [2.0**-53, 1e-9, 0.5, 1 - 2.0**-53, *np.random.default_rng(0).random(2000)]:
        assert math.isclose(_logarithm(u), math.log(u), rel_tol=1e-15, abs_tol=1e-15)
        cosine, sine = _cosine_and_sine(u)
        assert abs(cosine - math.cos(2 * math.pi * u)) < 2e-15
        assert abs(sine - math.sin(2 * math.pi * u)) < 2e-15


def test_they_are_normal_and_begin_alike() -> None:
    """Kolmogorov-Smirnov on one seed: a false alarm of 1e-3."""
    normals = portable_normals(5, 1, 20_001)
    assert stats.kstest(normals, "norm").pvalue > 1e-3
    assert portable_normals(5, 1, 0).size == 0
    assert portable_normals(5, 1, 7).size == 7
    assert not np.array_equal(portable_normals(6, 1, 7), portable_normals(5, 1, 7))
