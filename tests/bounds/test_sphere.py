"""The rate-distortion function of a random direction: known values, limits, and Blahut-Arimoto."""

import mpmath
import numpy as np
import pytest

from paper_code.bounds import log2_cap_probability, sphere_rate_distortion_bits, uncertainty_bits

ALPHAS = (1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-10)


@pytest.mark.parametrize(
    ("d", "alpha", "bits"),
    [
        (2, 0.1, 2.2273),
        (3, 0.1, 3.8417),
        (10, 0.1, 15.4249),
        (14, 0.15, 18.2431),
        (100, 0.1, 164.8996),
        (1000, 0.9, 75.9943),
    ],
)
def test_known_values(d: int, alpha: float, bits: float) -> None:
    assert sphere_rate_distortion_bits(alpha, d) == pytest.approx(bits, abs=5e-5)  # four decimals


def at_fifty_digits(alpha: float, d: int) -> float:
    """The definition, kappa by root finding, in bits."""
    with mpmath.workdps(50):
        cosine, nu = mpmath.sqrt(1 - mpmath.mpf(alpha)), mpmath.mpf(d) / 2 - 1
        near = cosine * (d - 1 + alpha) / alpha
        kappa = mpmath.findroot(
            lambda k: mpmath.besseli(nu + 1, k) / mpmath.besseli(nu, k) - cosine,
            (near * 0.97, near * 1.03),
            tol=1e-40,
            verify=False,
        )
        mean = mpmath.gamma(nu + 1) * (2 / kappa) ** nu * mpmath.besseli(nu, kappa)
        return float((kappa * cosine - mpmath.log(mean)) / mpmath.log(2))


@pytest.mark.parametrize("d", [2, 3, 21, 22, 23, 62, 63, 1000])  # around where the method changes
def test_against_fifty_digits(d: int) -> None:
    for alpha in ALPHAS:
        exact = at_fifty_digits(alpha, d)
        assert sphere_rate_distortion_bits(alpha, d) == pytest.approx(exact, rel=1e-10)


def bessel_ratio(kappa: float, nu: float) -> float:
    """I_{nu+1}(kappa) / I_nu(kappa) by its continued fraction, from far enough out."""
    ratio = 0.0
    for k in range(100_000, 0, -1):
        ratio = 1 / (2 * (nu + k) / kappa + ratio)
    return ratio


@pytest.mark.parametrize("alpha", [0.01, 0.5, 0.99])
def test_the_slope_is_kappa_at_a_million_coordinates(alpha: float) -> None:
    """dR/d alpha = -kappa/(2 A): the parameter of the channel, found without R."""
    d, step = 10**6, 1e-4 * alpha
    low, high = (sphere_rate_distortion_bits(alpha + s, d) for s in (-step, step))
    kappa = (low - high) / (2 * step) * np.log(2) * 2 * np.sqrt(1 - alpha)
    # a central difference is off by step^2/6 of the third derivative: 1e-8 of the slope
    assert bessel_ratio(kappa, d / 2 - 1) == pytest.approx(np.sqrt(1 - alpha), rel=1e-7)


def test_between_its_bounds_and_falling() -> None:
    alpha = np.array([1e-6, 1e-3, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6])
    for d in (2, 3, 4, 10, 61, 62, 100, 1000, 10**6):
        rate, gaussian = sphere_rate_distortion_bits(alpha, d), uncertainty_bits(alpha, d)
        assert np.all(np.diff(rate) < 0)
        assert np.all(rate <= gaussian)
        assert np.all(rate >= (1 - 1 / d) * gaussian)
        assert np.all(rate <= -log2_cap_probability(alpha, d))


def sphere_points(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the unit sphere in R^2 or R^3, and the shares of the sphere that they stand for."""
    angle = np.arange(60) * 2 * np.pi / 60
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    if d == 2:
        return circle, np.full(60, 1 / 60)
    heights, weight = np.polynomial.legendre.leggauss(10)
    rings = [np.column_stack([np.sqrt(1 - z**2) * circle[::3], np.full(20, z)]) for z in heights]
    return np.concatenate(rings), np.repeat(weight / 2 / 20, 20)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("alpha", [0.3, 0.6])
def test_against_blahut_arimoto(d: int, alpha: float) -> None:
    """On a fine grid of directions, with reproductions of three lengths to choose from."""
    points, weight = sphere_points(d)
    cosine = np.sqrt(1 - alpha)
    reproductions = np.concatenate([length * points for length in (0.8 * cosine, cosine, 1.0)])
    step = 1e-4
    slope = (
        -(
            sphere_rate_distortion_bits(alpha + step, d)
            - sphere_rate_distortion_bits(alpha - step, d)
        )
        / (2 * step)
        * np.log(2)
    )
    distortion = ((points[:, None] - reproductions) ** 2).sum(-1)
    kernel = np.exp(-slope * distortion)
    share = np.random.default_rng(0).dirichlet(np.ones(len(reproductions)))
    for _ in range(3000):
        share = share * (weight @ (kernel / (kernel @ share)[:, None]))
    joint = weight[:, None] * kernel * share / (kernel @ share)[:, None]
    mean = float((joint * distortion).sum())
    rate = float(weight @ -np.log2(kernel @ share)) - slope * mean / np.log(2)
    assert mean == pytest.approx(alpha, abs=2e-3)  # the slope's curve is flat near its point
    assert rate == pytest.approx(sphere_rate_distortion_bits(mean, d), rel=1e-4)


@pytest.mark.parametrize(("alpha", "d"), [(0, 3), (1, 3), (0.5, 1), (0.5, 2.5)])
def test_what_is_refused(alpha: float, d: float) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        sphere_rate_distortion_bits(alpha, d)
