"""Spherical Compression's bits and bias: sums, searches and draws against the closed forms."""

import math

import numpy as np
import pytest

from paper_code import bounds

PROBABILITIES = np.geomspace(1e-12, 0.5, 2001)


@pytest.mark.parametrize("p", [0.5, 0.3, 0.04])
@pytest.mark.parametrize("parameter", [0, 1, 3, 6])
def test_rice_expectation_is_the_sum_over_all_lengths(p: float, parameter: int) -> None:
    t = np.arange(1, 3000)  # what is left out weighs 0.96^3000 < 1e-53
    lengths = (t - 1) // 2**parameter + 1 + parameter
    expected = float(np.sum(p * (1 - p) ** (t - 1) * lengths))
    assert bounds.rice_expected_bits(p, parameter) == pytest.approx(expected, rel=1e-12)


def test_rice_parameter_is_the_best() -> None:
    best = bounds.rice_expected_bits(PROBABILITIES, bounds.rice_parameter(PROBABILITIES))
    every = bounds.rice_expected_bits(PROBABILITIES, np.arange(50)[:, None])
    np.testing.assert_allclose(best, every.min(axis=0), rtol=1e-14)


def test_rice_overhead_is_at_most_1563() -> None:
    best = bounds.rice_expected_bits(PROBABILITIES, bounds.rice_parameter(PROBABILITIES))
    overhead = best + np.log2(PROBABILITIES)
    assert np.all(overhead <= 1.563)
    assert overhead.max() > 1.56  # the constant is the supremum, not a loose bound


def test_entropy_overhead_is_at_most_1443() -> None:
    overhead = bounds.geometric_entropy_bits(PROBABILITIES) + np.log2(PROBABILITIES)
    assert np.all(overhead <= 1.443)
    assert overhead.max() == pytest.approx(math.log2(math.e), abs=1e-4)
    best = bounds.rice_expected_bits(PROBABILITIES, bounds.rice_parameter(PROBABILITIES))
    assert np.all(best >= bounds.geometric_entropy_bits(PROBABILITIES) - 1e-12)


def test_certain_success_costs_the_stop_bit() -> None:
    assert bounds.rice_parameter(1.0) == 0
    assert bounds.rice_expected_bits(1.0, 0) == 1
    assert bounds.geometric_entropy_bits(1.0) == 0


def test_expected_bits_use_the_best_parameter_and_survive_underflow() -> None:
    p = bounds.cap_probability(0.2, 30)
    expected = bounds.rice_expected_bits(p, bounds.rice_parameter(p))
    assert bounds.spherical_compression_expected_bits(0.2, 30) == pytest.approx(expected, rel=1e-12)
    alpha, d = np.array([1e-6, 0.1, 0.9, 1 - 1e-6])[:, None], np.array([1, 2, 3, 10, 10**3, 10**6])
    # Eight digits of the difference remain at 2e7 bits.
    above = bounds.spherical_compression_expected_bits(alpha, d) - bounds.worst_case_lower_bits(
        alpha, d
    )
    assert np.all((above >= 0) & (above <= 1.563 + 1e-8))
    promised = bounds.spherical_compression_bits(alpha, d)
    assert np.all(bounds.spherical_compression_expected_bits(alpha, d) < promised)


@pytest.mark.parametrize(("alpha", "d"), [(0.5, 4), (0.2, 3), (0.6, 6)])
def test_overlap_and_omega_against_draws(alpha: float, d: int) -> None:
    """Draws as the scheme makes them. 5 standard errors: one false alarm in 1.7 million checks."""
    rng = np.random.default_rng(20)
    points = rng.standard_normal((200_000, d))
    points *= math.sqrt(1 - alpha) / np.linalg.norm(points, axis=1, keepdims=True)
    x = np.full(d, 1 / math.sqrt(d))
    hits = points[np.sum((points - x) ** 2, axis=1) <= alpha]

    share = bounds.cap_probability(alpha, d)
    assert abs(len(hits) / len(points) - share) < 5 * math.sqrt(share / len(points))
    m = bounds.spherical_compression_mean_overlap(alpha, d)
    unbiased = hits / m
    spread = unbiased.std(axis=0) / math.sqrt(len(hits))
    assert np.all(np.abs(unbiased.mean(axis=0) - x) < 5 * spread)
    errors = np.sum((unbiased - x) ** 2, axis=1)
    omega = bounds.spherical_compression_omega(alpha, d)
    assert abs(errors.mean() - omega) < 5 * errors.std() / math.sqrt(len(hits))


def test_omega_rises_to_its_limit() -> None:
    d = np.array([1, 2, 3, 10, 100, 10**4, 10**6, 10**9])
    omega = bounds.spherical_compression_omega(0.2, d)
    assert omega[0] == pytest.approx(0, abs=1e-15)
    assert np.all(np.diff(omega) > 0)
    assert omega[-1] < 0.25
    assert omega[-1] == pytest.approx(0.25, rel=1e-8)
