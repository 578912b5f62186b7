"""An explicit covering of the sphere: a code this short exists, at every d."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.cap import cap_angle, log2_cap_probability
from paper_code.bounds.domain import Result

Array = NDArray[np.float64]


def worst_case_upper_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return a number of bits, log2 of a number of codewords, that suffices at this d.

    N random caps of angle theta - eps and a cap around each point of a maximal 2 eps-separated
    set in what they miss cover with at most N + (1 - P(theta - eps))^N / P(eps) caps of angle
    theta, for every N and every eps <= theta/2; the least is returned. Not rounded to whole bits.
    Equality: d = 1 (one bit). For big d the covering proves that a code exists, not a fast one.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: derived here; rigorous.

    >>> from paper_code.bounds.worst_case import worst_case_lower_bits
    >>> [round(worst_case_upper_bits(0.1, d) - worst_case_lower_bits(0.1, d), 2)
    ...  for d in (100, 1000, 10_000)]
    [9.54, 13.3, 16.95]
    """
    theta = np.asarray(cap_angle(alpha))
    d = domain.whole("d", d)
    theta, d = np.broadcast_arrays(theta, d)
    # The best eps is near theta/(d ln d): search ln(eps/theta) on a grid around it, then closer.
    # Every eps gives a true bound, so a missed minimum costs tightness, never truth.
    low, high = -np.log(2 * d * np.log2(d + 1) ** 2) - 3, np.full(d.shape, -np.log(2))
    for _ in range(6):
        grid = np.linspace(low, high, 33)
        bits = _covering_bits(theta, theta * np.exp(grid), d)
        best = np.argmin(bits, axis=0)[None]
        step = (high - low) / 32
        middle = np.take_along_axis(grid, best, axis=0)[0]
        low, high = np.maximum(low, middle - step), np.minimum(high, middle + step)
    return domain.result(np.min(bits, axis=0))


def _covering_bits(theta: Array, epsilon: Array, d: Array) -> Array:
    """Return log2 of the least N + (1 - P(theta - eps))^N / P(eps) over whole N, rounded down."""
    log_hit = _log_cap(theta - epsilon, d)
    log_small = _log_cap(epsilon, d)
    # c = -ln(1 - P(theta - eps)), which is P itself where P is tiny.
    log_c = np.where(log_hit > -30, np.log(-np.log1p(-np.exp(np.maximum(log_hit, -30)))), log_hit)
    # The sum is least at N = ln(c/P(eps))/c, where it is N + 1/c; N rounds up by less than 1.
    excess = np.maximum(log_c - log_small, 0.0)
    log_total = np.logaddexp(np.log(excess + 1) - log_c, 0.0)
    log_total = np.minimum(log_total, -log_small)  # N = 0: the separated set alone
    few = log_total < 30
    # A covering has a whole number of caps; the 1e-9 keeps rounding from dropping one.
    whole = np.log(np.floor(np.exp(np.minimum(log_total, 30)) + 1e-9))
    return np.where(few, whole, log_total) / np.log(2)


def _log_cap(angle: Array, d: Array) -> Array:
    return np.asarray(log2_cap_probability(np.sin(angle) ** 2, d)) * np.log(2)
