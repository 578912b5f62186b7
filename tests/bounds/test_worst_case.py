"""The bounds over all codes: their order, their printed values, the circle by hand."""

import numpy as np
import pytest

from paper_code import bounds

ALPHAS = np.array([1e-6, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999, 1 - 1e-6])[:, None]
DIMENSIONS = np.array([1, 2, 3, 4, 5, 10, 100, 10**4, 10**6, 10**9])


def test_uncertainty_bound_lies_below_the_cap_bound_but_in_few_dimensions() -> None:
    """The sphere has one dimension less than the ball: with the norm free it can be cheaper."""
    uncertain = bounds.uncertainty_bits(ALPHAS, DIMENSIONS)
    below = uncertain <= bounds.worst_case_lower_bits(ALPHAS, DIMENSIONS) * (1 + 1e-12)
    spread = 2 * np.pi * DIMENSIONS * ALPHAS * (1 - ALPHAS)
    assert np.all(below[spread > 1.2])
    assert not np.any(below[(spread < 1) & (ALPHAS <= 0.5)])
    assert f"{bounds.uncertainty_bits(0.1, 1000) / 1000:.3f}" == "1.661"


def test_32_points_beat_the_uncertainty_bound_on_the_circle() -> None:
    assert bounds.worst_case_bits_circle(0.01) == 5
    assert bounds.uncertainty_bits(0.01, 2) == pytest.approx(6.644, abs=5e-4)


def test_unbiased_uncertainty_bound_is_the_contractive_one_after_scaling() -> None:
    omega = np.geomspace(1e-3, 1e3, 31)
    scaled = bounds.uncertainty_bits(omega / (1 + omega), 77)
    np.testing.assert_allclose(bounds.uncertainty_bits_unbiased(omega, 77), scaled, rtol=1e-10)


def test_lower_and_upper_bound_enclose() -> None:
    lower = bounds.worst_case_lower_bits(ALPHAS, DIMENSIONS)
    upper = bounds.worst_case_upper_bits(ALPHAS, DIMENSIONS)
    assert np.all(lower <= upper * (1 + 1e-12))
    np.testing.assert_allclose(upper[:, 0], 1, rtol=1e-14)  # d = 1: the two signs
    np.testing.assert_array_equal(bounds.average_case_bits(ALPHAS, DIMENSIONS), lower)


@pytest.mark.parametrize(("d", "printed"), [(100, "9.54"), (1000, "13.30"), (10_000, "16.95")])
def test_explicit_covering_to_printed_digits(d: int, printed: str) -> None:
    above = bounds.worst_case_upper_bits(0.1, d) - bounds.worst_case_lower_bits(0.1, d)
    assert f"{above:.2f}" == printed


@pytest.mark.parametrize(("d", "printed"), [(100, "9.38"), (1000, "13.28"), (10_000, "17.02")])
def test_rogers_term_to_printed_digits(d: int, printed: str) -> None:
    upper = bounds.worst_case_upper_bits_asymptotic(0.1, d)
    assert f"{upper - bounds.worst_case_lower_bits(0.1, d):.2f}" == printed


@pytest.mark.parametrize("d", [3, 6, 10])
def test_covering_is_the_minimum_of_its_formula(d: int) -> None:
    """A plain search over many N and eps, in ordinary numbers, finds nothing much better."""
    theta = bounds.cap_angle(0.3)
    epsilon = theta * np.linspace(0.001, 0.5, 500)
    hit = bounds.cap_probability(np.sin(theta - epsilon) ** 2, d)
    small = bounds.cap_probability(np.sin(epsilon) ** 2, d)
    best = 2.0 ** bounds.worst_case_upper_bits(0.3, d)
    n = np.unique(np.geomspace(1, 2 * best, 4000).astype(int))[:, None]
    plain = np.floor((n + (1 - hit) ** n / small).min())
    # N is rounded up there to the next whole number: at most one cap more than the best N.
    assert plain * (1 - 2e-3) <= best <= plain * (1 + 2e-3) + 1


def test_circle_is_exact_and_inside_the_bounds() -> None:
    alpha = np.linspace(0.001, 0.999, 999)
    exact = bounds.worst_case_bits_circle(alpha)
    caps = 2**exact
    np.testing.assert_allclose(caps, np.round(caps), rtol=1e-12)
    theta = bounds.cap_angle(alpha)
    assert np.all(caps * theta >= np.pi * (1 - 1e-12))  # they cover
    assert np.all((caps - 1) * theta < np.pi)  # and one less would not
    assert np.all(bounds.worst_case_lower_bits(alpha, 2) <= exact + 1e-12)
    assert np.all(exact <= bounds.worst_case_upper_bits(alpha, 2) + 1e-12)


def test_band_is_the_bound_with_half_its_width_either_side() -> None:
    band = bounds.worst_case_band(0.1, [2, 16, 1024])
    log_d, log_log_d = np.array([1, 4, 10]), np.log2([1, 4, 10])
    lower = bounds.worst_case_lower_bits(0.1, [2, 16, 1024])
    np.testing.assert_allclose(band.low, lower + log_d, rtol=1e-14)
    np.testing.assert_allclose(band.centre, lower + log_d + log_log_d / 2, rtol=1e-14)
    np.testing.assert_allclose(band.high, lower + log_d + log_log_d, rtol=1e-14)


def test_band_closes_on_the_uncertainty_bound() -> None:
    d = 10.0 ** np.arange(1, 10)
    ratio = bounds.worst_case_band(0.1, d).high / bounds.uncertainty_bits(0.1, d)
    assert np.all(np.diff(ratio) < 0)
    assert ratio[-1] - 1 < 1e-7
