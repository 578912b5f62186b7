"""How few bits a distortion costs: lower and upper bounds over all codes.

Worst case b: the longest message of a strictly contractive code, ||C(x) - x||^2 <= alpha ||x||^2.
Average case B: the mean length of a prefix-free message, for the worst x or for a uniform one.
The lower bounds count caps of the sphere, the upper bounds cover it with them. All are derived in
notebooks/02_lower_bounds.ipynb; docstrings name the section.
"""

from typing import NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.cap import cap_angle, log2_cap_probability
from paper_code.bounds.domain import Result

Array = NDArray[np.float64]


class Band(NamedTuple):
    """Where b* lies, in bits: low <= b* <= high up to O(1), centre in the middle."""

    low: Result
    centre: Result
    high: Result


@overload
def uncertainty_bits(alpha: float, d: float) -> float: ...
@overload
def uncertainty_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def uncertainty_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return the least number of bits of a contractive compressor, (d/2) log2(1/alpha).

    From alpha 4^(b/d) >= 1: 2^b balls of radius sqrt(alpha) must fill the unit ball, so the norm's
    bits count too. With the norm sent free of charge, on unit vectors, fewer are enough where
    2 pi d alpha (1 - alpha) is below about 1: one bit at d = 1; use `worst_case_lower_bits` there.
    Equality: approached per coordinate as d grows, by an optimal covering.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: uncertainty principle; Safaryan, Shulgin, Richtárik, arXiv:2002.08958.
    Derived in notebook 02, "The uncertainty principle".

    >>> round(uncertainty_bits(0.1, 1), 3)
    1.661
    """
    alpha, d = domain.fraction("alpha", alpha), domain.whole("d", d)
    return domain.result(-d / 2 * np.log2(alpha))


@overload
def uncertainty_bits_unbiased(omega: float, d: float) -> float: ...
@overload
def uncertainty_bits_unbiased(omega: ArrayLike, d: ArrayLike) -> Result: ...
def uncertainty_bits_unbiased(omega: ArrayLike, d: ArrayLike) -> Result:
    """Return the least number of bits of an unbiased compressor, (d/2) log2(1 + 1/omega).

    The bound above at alpha = omega/(1 + omega), since C/(1 + omega) is contractive there.
    Equality: as for `uncertainty_bits`.

    Domain: omega > 0, whole d >= 1; ValueError otherwise.
    Source: uncertainty principle; Safaryan, Shulgin, Richtárik, arXiv:2002.08958.

    >>> round(uncertainty_bits_unbiased(0.25, 1000), 2)  # 500 log2 5
    1160.96
    """
    omega, d = domain.positive("omega", omega), domain.whole("d", d)
    return domain.result(d / 2 * np.log1p(1 / omega) / np.log(2))


@overload
def worst_case_lower_bits(alpha: float, d: float) -> float: ...
@overload
def worst_case_lower_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def worst_case_lower_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return -log2 P(alpha, d): no strictly contractive code has a shorter longest message.

    The unit vectors near enough to one decoded vector fill at most a cap, so 2^b P >= 1.
    Equality: d = 1 (the two signs, one bit), and d = 2 where pi/theta is whole.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, worst-case lower bound; rigorous at every d.
    Derived in notebook 02, "A cap on the sphere" and "Worst case".

    >>> round(worst_case_lower_bits(0.1, 100), 4)
    169.0051
    """
    return domain.result(-np.asarray(log2_cap_probability(alpha, d)))


@overload
def worst_case_lower_bits_asymptotic(alpha: float, d: float) -> float: ...
@overload
def worst_case_lower_bits_asymptotic(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def worst_case_lower_bits_asymptotic(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return -log2 P + log2 d, the worst-case lower bound up to O(1): asymptotic, not rigorous.

    A covering of the sphere by caps has density at least of order d.
    Equality: none is claimed at any fixed d.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, worst-case lower bound; density of coverings: Coxeter, Few, Rogers (1959).

    >>> round(worst_case_lower_bits_asymptotic(0.1, 100), 4)
    175.6489
    """
    return domain.result(worst_case_lower_bits(alpha, d) + np.log2(domain.whole("d", d)))


@overload
def worst_case_upper_bits_asymptotic(alpha: float, d: float) -> float: ...
@overload
def worst_case_upper_bits_asymptotic(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def worst_case_upper_bits_asymptotic(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return -log2 P + log2 d + log2 log2 d: a code this long exists, up to O(1) bits.

    Asymptotic. Equality: none is claimed; Dumer (2007) sharpens the density to
    (1/2 + o(1)) d ln d, that is 1.53 bits less. `worst_case_upper_bits` is the explicit bound.

    Domain: 0 < alpha < 1, whole d >= 2; ValueError otherwise.
    Source: paper, worst-case upper bound, by a Rogers-type covering.

    >>> [round(worst_case_upper_bits_asymptotic(0.1, d) - worst_case_lower_bits(0.1, d), 2)
    ...  for d in (100, 1000, 10_000)]
    [9.38, 13.28, 17.02]
    """
    d = domain.whole("d", d, least=2)
    extra = np.log2(d) + np.log2(np.log2(d))
    return domain.result(worst_case_lower_bits(alpha, d) + extra)


def worst_case_band(alpha: ArrayLike, d: ArrayLike) -> Band:
    """Return the band of b*: -log2 P + log2 d + (1/2) log2 log2 d -+ (1/2) log2 log2 d.

    Asymptotic: each edge holds up to O(1) bits. Equality: the band closes to a point at d = 2.

    Domain: 0 < alpha < 1, whole d >= 2; ValueError otherwise.
    Source: paper, the two worst-case bounds joined.

    >>> band = worst_case_band(0.1, 1000)
    >>> round(band.centre - worst_case_lower_bits(0.1, 1000), 3), round(band.high - band.low, 3)
    (11.624, 3.317)
    """
    low = worst_case_lower_bits_asymptotic(alpha, domain.whole("d", d, least=2))
    high = worst_case_upper_bits_asymptotic(alpha, d)
    return Band(low, domain.result((np.asarray(low) + high) / 2), high)


@overload
def worst_case_bits_circle(alpha: float) -> float: ...
@overload
def worst_case_bits_circle(alpha: ArrayLike) -> Result: ...
def worst_case_bits_circle(alpha: ArrayLike) -> Result:
    """Return b* at d = 2 exactly: log2 ceil(pi/theta), theta the cap's angle.

    Arcs of length 2 theta cover the circle when there are at least pi/theta of them.
    Not rounded up to whole bits. Equality always; it meets -log2 P where pi/theta is whole.

    Domain: 0 < alpha < 1; ValueError otherwise.
    Source: paper, exact case; notebook 02, "Where the uncertainty principle does not apply".

    >>> worst_case_bits_circle([0.5, 0.25, 0.1]).tolist() == np.log2([4, 6, 10]).tolist()
    True
    """
    # Four roundings of slack, so that alpha = 1/4, 1/2, 3/4 count as the whole ratios they are.
    ratio = np.pi / np.asarray(cap_angle(alpha)) * (1 - 1e-15)
    return domain.result(np.log2(np.ceil(ratio)))


@overload
def average_case_bits(alpha: float, d: float) -> float: ...
@overload
def average_case_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def average_case_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return -log2 P(alpha, d): no strictly contractive code has a shorter mean message.

    Over uniform unit vectors every message has probability at most P, so its entropy, and the
    mean length of any prefix-free code, is at least -log2 P; shared randomness does not help.
    A single vector may cost less. Equality: as for `worst_case_lower_bits`.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, average-case lower bound; derived in notebook 02, "Average case".

    >>> round(average_case_bits(0.1, 10), 4)
    17.8377
    """
    return worst_case_lower_bits(alpha, d)


@overload
def worst_case_upper_bits(alpha: float, d: float) -> float: ...
@overload
def worst_case_upper_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def worst_case_upper_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return a number of bits, log2 of a number of codewords, that suffices at this d.

    N random caps of angle theta, and one around each point of a maximal 2 eps-separated set in
    what they miss, cover the sphere. Around those points lie disjoint caps of angle eps that the
    N caps, were their angle theta - eps, would miss too: N + (1 - P(theta - eps))^N / P(eps) caps
    are enough, for every N and eps <= theta/2. The least is returned, not rounded to whole bits.
    Equality: d = 1 (one bit). For big d the covering proves that a code exists, not a fast one.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: derived in notebook 02, "Worst case"; rigorous.

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
