"""The cap probability against quadrature, its printed values and its exact cases."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from paper_code import bounds

ALPHAS = [1e-6, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-4, 1 - 1e-6]
DIMENSIONS = [2, 3, 4, 10, 64, 65, 66, 1000, 10**5, 10**7, 10**9]


def quadrature(alpha: float, d: int, weight: Callable[[mpmath.mpf], mpmath.mpf]) -> mpmath.mpf:
    """ln of the integral over the cap of weight(angle) sin^(d - 2), relative to the sphere."""
    with mpmath.workdps(30):
        theta = mpmath.asin(mpmath.sqrt(mpmath.mpf(alpha)))
        log_top, n = mpmath.log(mpmath.sin(theta)), d - 2
        # The integrand falls from the rim at this rate; beyond 300 lengths nothing is left.
        length = 1 / (n / mpmath.tan(theta) + mpmath.sqrt(n) + 1 / theta)
        points = [0, *(length * 2**i for i in range(9))]
        points = [point for point in points if point < theta]
        points.append(min(theta, 300 * length))

        def scaled(depth: mpmath.mpf) -> mpmath.mpf:
            angle = theta - depth
            return weight(angle) * mpmath.exp(n * (mpmath.log(mpmath.sin(angle)) - log_top))

        whole = mpmath.loggamma(mpmath.mpf(d - 1) / 2) - mpmath.loggamma(mpmath.mpf(d) / 2)
        inside = mpmath.log(mpmath.quad(scaled, sorted(points)))
        return n * log_top + inside - whole - mpmath.log(mpmath.pi) / 2


@pytest.mark.parametrize("d", DIMENSIONS)
def test_log_probability_agrees_with_quadrature(d: int) -> None:
    # The last alpha is where the code changes from one expansion to the other.
    for alpha in [*ALPHAS, (d + 1) / (d + 4) * (1 - 1e-12), (d + 1) / (d + 4) * (1 + 1e-12)]:
        expected = quadrature(alpha, d, lambda angle: mpmath.mpf(1)) / mpmath.log(2)
        error = abs((bounds.log2_cap_probability(alpha, d) - expected) / expected)
        assert error < 1e-13, (alpha, d)  # 1e-11 is asked for; 2e-15 was measured


@pytest.mark.parametrize("d", [2, 3, 10, 1000, 10**6])
def test_mean_cosine_agrees_with_quadrature(d: int) -> None:
    for alpha in ALPHAS:
        log_share = quadrature(alpha, d, lambda angle: mpmath.mpf(1))
        expected = mpmath.exp(quadrature(alpha, d, mpmath.cos) - log_share)
        assert bounds.cap_mean_cosine(alpha, d) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "d", "printed"),
    [
        (0.1, 10, "-17.8377"),
        (0.1, 100, "-169.0051"),
        (0.5, 100, "-53.658"),
        (0.05, 10, "-22.3692"),
    ],
)
def test_check_values_to_all_printed_digits(alpha: float, d: int, printed: str) -> None:
    digits = len(printed.split(".")[1])
    assert f"{bounds.log2_cap_probability(alpha, d):.{digits}f}" == printed


def test_check_value_in_a_million_dimensions() -> None:
    assert f"{bounds.log2_cap_probability(0.1, 10**6):.7e}" == "-1.6609736e+06"


def test_exact_cases_of_small_dimension() -> None:
    alpha = np.linspace(0.001, 0.999, 999)
    theta = np.arcsin(np.sqrt(alpha))
    np.testing.assert_allclose(bounds.cap_probability(alpha, 1), 0.5, rtol=1e-14)
    np.testing.assert_allclose(bounds.cap_probability(alpha, 2), theta / np.pi, rtol=1e-13)
    # (1 - sqrt(1 - alpha))/2 written so that it keeps its digits
    exact = alpha / (1 + np.sqrt(1 - alpha)) / 2
    np.testing.assert_allclose(bounds.cap_probability(alpha, 3), exact, rtol=1e-13)
    np.testing.assert_allclose(bounds.cap_mean_cosine(alpha, 1), 1, rtol=1e-14)
    np.testing.assert_allclose(bounds.cap_mean_cosine(alpha, 2), np.sin(theta) / theta, rtol=1e-13)


def test_probability_rises_with_alpha_and_falls_with_d() -> None:
    alpha, d = np.linspace(0.01, 0.99, 197), np.array([2, 3, 5, 50, 500, 10**4, 10**8])
    table = bounds.log2_cap_probability(alpha, d[:, None])
    assert table.shape == (7, 197)
    assert np.all(np.diff(table, axis=1) > 0)
    assert np.all(np.diff(table, axis=0) < 0)
