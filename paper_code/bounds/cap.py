"""P(alpha, d), the share of the unit sphere in R^d inside a cap, and what lies inside it.

The cap's angle is theta with sin^2 theta = alpha. One decoded vector will do for the unit vectors
within distance sqrt(alpha) of it, and no such ball cuts more out of the sphere than this cap: every
bound on strictly contractive codes starts here (notebooks/02_lower_bounds.ipynb, "A cap on the
sphere").

With a = (d - 1)/2, P = I_alpha(a, 1/2)/2 = alpha^a sqrt(1 - alpha) F / (2 a B(a, 1/2)), where
F = 2F1(a + 1/2, 1; a + 1; alpha). Everything is kept in logarithms because P leaves the range of
a double near d = 600 at alpha = 0.1.
"""

from typing import overload

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.domain import Result

Array = NDArray[np.float64]
_MOST_TERMS = 500  # in their regions both expansions below need at most 66, whatever alpha and d


@overload
def log2_cap_probability(alpha: float, d: float) -> float: ...
@overload
def log2_cap_probability(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def log2_cap_probability(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return log2 P(alpha, d), in bits.

    P = I_alpha((d - 1)/2, 1/2) / 2. Special cases: d = 1: 1/2; d = 2: theta/pi;
    d = 3: (1 - sqrt(1 - alpha))/2. Relative error below 1e-11 for d up to 10^9 and alpha from
    1e-6 to 1 - 1e-6.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, lower bounds; derived in notebook 02, "A cap on the sphere"; Li, Concise formulas
    for the area and volume of a hyperspherical cap (2011).

    >>> [round(log2_cap_probability(0.1, d), 4) for d in (10, 100)]
    [-17.8377, -169.0051]
    >>> round(log2_cap_probability(0.5, 100), 3), round(log2_cap_probability(0.05, 10), 4)
    (-53.658, -22.3692)
    >>> f"{log2_cap_probability(0.1, 10**6):.7e}"
    '-1.6609736e+06'
    """
    alpha, a = _alpha_and_a(alpha, d)
    log_share, _ = _log_share_and_log_f(alpha, a)
    return domain.result(log_share / np.log(2) - 1)


@overload
def cap_probability(alpha: float, d: float) -> float: ...
@overload
def cap_probability(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def cap_probability(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return P(alpha, d) itself; it underflows to 0 where log2 P < -1074.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: see `log2_cap_probability`.

    >>> round(cap_probability(0.5, 2), 12), round(cap_probability(0.75, 3), 12)
    (0.25, 0.25)
    """
    return domain.result(np.exp2(log2_cap_probability(alpha, d)))


@overload
def cap_angle(alpha: float) -> float: ...
@overload
def cap_angle(alpha: ArrayLike) -> Result: ...
def cap_angle(alpha: ArrayLike) -> Result:
    """Return theta = arcsin sqrt(alpha), the angular radius of the cap, in radians.

    Domain: 0 < alpha < 1; ValueError otherwise.

    >>> round(cap_angle(0.25) / np.pi, 12) == round(1 / 6, 12)
    True
    """
    alpha = domain.fraction("alpha", alpha)
    return domain.result(np.arctan2(np.sqrt(alpha), np.sqrt(1 - alpha)))


@overload
def cap_mean_cosine(alpha: float, d: float) -> float: ...
@overload
def cap_mean_cosine(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def cap_mean_cosine(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return E[t | t >= sqrt(1 - alpha)], t = <v, x> for v uniform on the sphere, x a unit vector.

    The density of t is proportional to (1 - t^2)^((d - 3)/2), so the mean is
    alpha^((d - 1)/2) / ((d - 1) B((d - 1)/2, 1/2) P) = 1/(sqrt(1 - alpha) F); 1 at d = 1.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: derived here from the cap's density; equals (1 + sqrt(1 - alpha))/2 at d = 3.

    >>> round(cap_mean_cosine(0.75, 3), 12)
    0.75
    """
    alpha, a = _alpha_and_a(alpha, d)
    _, log_f = _log_share_and_log_f(alpha, a)
    return domain.result(np.exp(-log_f) / np.sqrt(1 - alpha))


def _alpha_and_a(alpha: ArrayLike, d: ArrayLike) -> tuple[Array, Array]:
    alpha = domain.fraction("alpha", alpha)
    d = domain.whole("d", d)
    alpha, a = np.broadcast_arrays(alpha, (d - 1) / 2)
    return alpha, a


def _log_share_and_log_f(alpha: Array, a: Array) -> tuple[Array, Array]:
    """Return (ln I_alpha(a, 1/2), ln F)."""
    # log1p keeps the digits of ln alpha when a multiplies it by 10^9.
    log_alpha = np.where(alpha > 0.5, np.log1p(np.maximum(alpha, 0.5) - 1), np.log(alpha))
    log_prefactor = a * log_alpha + np.log1p(-alpha) / 2 - _log_a_beta(a)
    near_hemisphere = alpha > (a + 1) / (a + 2.5)
    odds = np.where(near_hemisphere, 0.0, alpha / (1 - alpha))
    log_f = np.log(_continued_fraction(odds, a)) - np.log1p(-alpha)
    # There I is close to 1 and the fraction slow: the other side's series is quick and exact.
    rest = np.where(near_hemisphere, 1 - alpha, 0.0)
    other = 2 * a * np.exp(log_prefactor) * _series(rest, a)
    near_share = np.log1p(-np.minimum(other, 0.999))
    # ln F is not ln I - log_prefactor everywhere: far from the hemisphere two big numbers cancel.
    return (
        np.where(near_hemisphere, near_share, log_prefactor + log_f),
        np.where(near_hemisphere, near_share - log_prefactor, log_f),
    )


def _log_a_beta(a: Array) -> Array:
    """Return ln(a B(a, 1/2)) = ln(Gamma(a + 1) sqrt(pi) / Gamma(a + 1/2))."""
    # Differences of gammaln lose all digits at a = 10^9; Stirling's terms are subtracted by hand.
    big = np.maximum(a, 32.0)
    tail = -1 / (8 * big) + 1 / (192 * big**3) - 1 / (640 * big**5) + 17 / (14336 * big**7)
    large = np.log(big) / 2 - tail
    least = np.minimum(a, 32.0)
    small = scipy.special.gammaln(least + 1) - scipy.special.gammaln(least + 0.5)
    return np.where(a < 32, small, large) + np.log(np.pi) / 2


def _continued_fraction(odds: Array, a: Array) -> Array:
    """Return 2F1(1/2, 1; a + 1; -odds) by Gauss's continued fraction (DLMF 15.7), odds >= 0.

    With odds = x/(1 - x) it is (1 - x) F: in this form every coefficient is positive, so nothing
    cancels where x is within 10^-9 of 1 (in x itself eight digits would go).
    """
    c = np.ones_like(odds)
    inverse = 1 / (1 + odds / (2 * a + 2))
    value = inverse.copy()
    for m in range(1, _MOST_TERMS):
        even = m / (a + 2 * m) * ((a + m - 0.5) / (a + 2 * m - 1)) * odds
        odd = (m + 0.5) / (a + 2 * m) * ((a + m) / (a + 2 * m + 1)) * odds
        for coefficient in (even, odd):
            inverse = 1 / (1 + coefficient * inverse)
            c = 1 + coefficient / c
            change = c * inverse
            value = value * change
        if np.all(np.abs(change - 1) < 2e-15):
            return value
    raise ArithmeticError("the continued fraction of the cap probability did not converge")


def _series(y: Array, a: Array) -> Array:
    """Return the sum of (a + 1/2)_n / (3/2)_n y^n: I_y(1/2, a) short of its prefactor."""
    term = np.ones_like(y)
    total = np.ones_like(y)
    for n in range(_MOST_TERMS):
        term = term * ((a + 0.5 + n) / (1.5 + n) * y)
        total = total + term
        if np.all(term < 1e-17 * total):
            return total
    raise ArithmeticError("the series of the cap probability did not converge")
