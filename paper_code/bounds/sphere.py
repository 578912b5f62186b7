"""The rate-distortion function of a uniformly random direction: what long blocks could reach.

Strict contractivity asks for distortion alpha in every message; the rate-distortion function R only
for its mean over long blocks of independent directions. R <= -log2 P(alpha, d), and the difference
is the price of keeping the promise each time.

The best test channel makes the direction, given what was sent, von Mises-Fisher with concentration
kappa, density proportional to exp(kappa <u, v>). With nu = d/2 - 1 and
M(kappa) = Gamma(nu + 1) (2/kappa)^nu I_nu(kappa), the mean of exp(kappa t) over directions,

    R = max over kappa of kappa sqrt(1 - alpha) - ln M(kappa)   nats.

The maximum is where A_d(kappa) = I_{nu+1}(kappa) / I_nu(kappa) = sqrt(1 - alpha). Errors of kappa
count only in the second order.
"""

from functools import cache
from typing import overload

import numpy as np
import scipy
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.domain import Result

_TERMS = 16  # of the uniform expansion: its first term left out is below 1e-17 from _FAR on
_FAR = 30.0  # hypot(nu, kappa) from which the expansion is used; below, the power series
_LARGE = 10.0  # nu from which Stirling's series is used


@overload
def sphere_rate_distortion_bits(alpha: float, d: float) -> float: ...
@overload
def sphere_rate_distortion_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def sphere_rate_distortion_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return the rate-distortion function of a uniform direction in R^d, in bits a direction.

    R = kappa A - log2[Gamma(d/2) (2/kappa)^(d/2 - 1) I_{d/2-1}(kappa)] with A = sqrt(1 - alpha) and
    A_d(kappa) = A (in nats before the division by ln 2). Limits: 0 as alpha -> 1, like
    d (1 - alpha)/(2 ln 2); ((d - 1)/2) log2 1/alpha + O(1) as alpha -> 0; R/d -> (1/2) log2 1/alpha
    as d -> infinity. Between (d - 1)/d and 1 times (d/2) log2 1/alpha, and below -log2 P(alpha, d).
    Relative error below 1e-10 for d up to 10^6.

    Domain: 0 < alpha < 1, whole d >= 2 (a sign, d = 1, has another channel); ValueError otherwise.
    Source: Dytso and Cardone, arXiv:2401.04248.

    >>> [round(sphere_rate_distortion_bits(0.1, d), 4) for d in (2, 3, 10, 100)]
    [2.2273, 3.8417, 15.4249, 164.8996]
    """
    alpha, d = domain.fraction("alpha", alpha), domain.whole("d", d, least=2)
    return domain.result(np.vectorize(_rate, otypes=[float])(alpha, d) / np.log(2))


def _rate(alpha: float, d: float) -> float:
    """R in nats: the maximum over ln kappa, near what Banerjee et al. give for A_d(kappa) = A."""
    near = np.log(np.sqrt(1 - alpha) * (d - 1 + alpha) / alpha)
    found = scipy.optimize.minimize_scalar(
        lambda log_kappa: -_exponent(np.exp(log_kappa), alpha, d / 2 - 1),
        bounds=(near - 1, near + 1),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return -found.fun


def _exponent(kappa: float, alpha: float, nu: float) -> float:
    """kappa A - ln M(kappa), arranged so that no large numbers cancel."""
    cosine = np.sqrt(1 - alpha)
    radius = np.hypot(nu, kappa)
    if radius < _FAR or kappa**2 / 4 < nu + 1:
        return kappa * cosine - np.log1p(_power_series(kappa**2 / 4, nu))
    missing = alpha / (1 + cosine)  # 1 - A
    tail = np.log1p(_debye(nu, radius))
    if nu < _LARGE:
        gap = -kappa * missing - nu**2 / (radius + kappa)  # kappa A - radius
        log_gamma = scipy.special.gammaln(nu + 1) - nu * np.log((nu + radius) / 2)
        return gap - log_gamma + np.log(2 * np.pi * radius) / 2 - tail
    rise = kappa**2 / (radius + nu)  # radius - nu
    # kappa A - (radius - nu), each way without cancellation
    far = nu - kappa * missing - nu**2 / (radius + kappa)
    gap = kappa * cosine - rise if kappa < nu else far
    whole = gap + nu * np.log1p(rise / (2 * nu)) + np.log1p((kappa / nu) ** 2) / 4
    return whole - _stirling(nu) - tail


def _power_series(x: float, nu: float) -> float:
    """M - 1 = sum over k >= 1 of x^k / (k! (nu + 1) ... (nu + k)); 199 terms are plenty here."""
    k = np.arange(1, 200)
    return float(np.cumprod(x / (k * (nu + k))).sum())


@cache
def _debye_coefficients() -> tuple[NDArray[np.float64], ...]:
    """c of U_k(t) = sum over j of c_j t^(k + 2j), Debye's polynomials, k = 1 ... _TERMS.

    U_{k+1}(t) = t^2 (1 - t^2) U_k'(t)/2 + (1/8) integral from 0 to t of (1 - 5 s^2) U_k(s) ds.
    Source: DLMF 10.41.9.
    """
    polynomial = Polynomial([1.0])
    found: list[NDArray[np.float64]] = []
    for k in range(1, _TERMS + 1):
        slope = Polynomial([0, 0, 0.5, 0, -0.5]) * polynomial.deriv()
        polynomial = slope + (Polynomial([1, 0, -5]) * polynomial).integ() / 8
        found.append(np.asarray(polynomial.coef[k::2], np.float64))
    return tuple(found)


def _debye(nu: float, radius: float) -> float:
    """Sum over k >= 1 of U_k(t) / nu^k at t = nu/radius; finite at nu = 0 too."""
    t_squared = (nu / radius) ** 2
    terms = (
        np.polynomial.polynomial.polyval(t_squared, c) / radius**k
        for k, c in enumerate(_debye_coefficients(), 1)
    )
    return float(sum(terms))


def _stirling(nu: float) -> float:
    """Ln Gamma(nu + 1) - (nu ln nu - nu + ln(2 pi nu)/2), for nu >= 10 to 1e-16."""
    x = 1 / nu**2
    series = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    return float(np.polynomial.polynomial.polyval(x, series)) / nu
