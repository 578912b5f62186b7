"""Places on the plane: what is promised, what was measured, and how far above the bound."""

import math

import numpy as np
import pytest

from paper_code import (
    Compressor,
    EntropyCodedSparseDithering,
    Identity,
    RandK,
    SparseDithering,
    SphericalCompression,
    TopK,
    bounds,
)
from paper_code.compressors.registry import every
from paper_code.descent.problems import Ridge
from paper_code.evaluation import sample_vectors
from paper_code.evaluation.measure import Mean
from paper_code.evaluation.rate_distortion import Point, gap, measured, promised

D = 1000
SCHEMES = [c for c in every() if not isinstance(c, Identity | SphericalCompression)]
SCHEMES += [SparseDithering(nu) for nu in (1e-4, 0.1, 0.9)]
SCHEMES += [SparseDithering(omega, unbiased=True) for omega in (0.01, 0.25, 10)]


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_no_promise_and_no_mean_over_uniform_directions_is_below_the_bound(
    scheme: Compressor,
) -> None:
    rng = np.random.default_rng(5)
    xs = rng.standard_normal((10, D)).astype(np.float32)
    seen, promise = measured(scheme, xs, rng), promised(scheme, D)
    assert gap(promise, D) >= 0
    assert gap(seen, D) >= 0
    # the promise is kept: five standard errors above it are a false alarm in 3 million
    assert seen.rate.value - 5 * seen.rate.error <= promise.rate.value
    assert seen.distortion.value - 5 * seen.distortion.error <= promise.distortion.value * 1.000001


def test_promised_bits_are_those_of_float32() -> None:
    assert promised(Identity(), D) == ((32, 0), (0, 0))
    assert promised(RandK(k=10), D).rate.value * D == 320
    assert promised(TopK(k=10), D).rate.value * D == 320 + math.ceil(math.log2(math.comb(D, 10)))
    assert promised(SphericalCompression(0.15), 10).distortion.value == 0.15
    assert promised(EntropyCodedSparseDithering(0.1), 10).rate.value == math.inf  # no promise


def test_an_unbiased_compressor_is_placed_by_the_best_factor() -> None:
    """C / (1 + v), with the error of v carried along."""
    xs = np.tile(np.arange(1, 101, dtype=np.float32), (50, 1))
    rng = np.random.default_rng(5)
    scheme = RandK(k=10)
    errors = [np.sum((scheme(x, rng) / 10.0 - x) ** 2) / np.sum(x**2) for x in xs]
    seen = measured(scheme, xs, np.random.default_rng(5))
    assert promised(scheme, 100).distortion.value == pytest.approx(0.9)
    assert seen.distortion.value == pytest.approx(np.mean(errors), abs=0.02)
    # v = d/k - 1 = 9 for every x, so v / (1 + v) is 0.9; five standard errors
    assert abs(seen.distortion.value - 0.9) < 5 * seen.distortion.error < 0.1


def test_the_gap_is_to_the_bound_at_the_same_distortion() -> None:
    point = Point(Mean(2.0, 0.0), Mean(0.1, 0.0))
    assert gap(point, D) == 2 - bounds.average_case_bits(0.1, D) / D
    assert math.isnan(gap(promised(Identity(), D), D))


def test_gradients_are_those_of_runs_from_random_starts() -> None:
    problem = Ridge(np.diag([1.0, 4.0]), np.array([1.0, -2.0]), regularisation=0.5)
    first = sample_vectors.gradients([problem], 6, np.random.default_rng(1), rounds=1)
    rng = np.random.default_rng(1)
    rng.integers(1, size=3)
    expected = problem.gradient(rng.standard_normal((3, 2)))
    assert first == pytest.approx((expected / np.linalg.norm(expected)).ravel())


def test_gradients_take_turns_at_equal_weight_and_have_any_length() -> None:
    small, large = (
        Ridge(np.eye(n), weight * np.ones(n), regularisation=0.1)
        for n, weight in ((2, 1), (3, 1e6))
    )
    x = sample_vectors.gradients([small, large], 40, np.random.default_rng(2), 5).reshape(8, 5)
    assert np.sum(x[:, :2] ** 2) == pytest.approx(1)
    assert np.sum(x[:, 2:] ** 2) == pytest.approx(1)
    assert sample_vectors.gradients([small, large], 7, np.random.default_rng(2)).shape == (7,)
    with pytest.raises(ValueError, match="need problems and rounds >= 1, got 0 and 100"):
        sample_vectors.gradients([], 7, np.random.default_rng(2))
    with pytest.raises(ValueError, match="need problems and rounds >= 1, got 1 and 0"):
        sample_vectors.gradients([small], 7, np.random.default_rng(2), rounds=0)
