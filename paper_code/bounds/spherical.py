"""Bits and bias of Spherical Compression, whose message is the index T of the first hit.

T >= 1 is geometric with success probability P(alpha, d). It is sent by a Golomb-Rice code of
parameter k: the quotient of T - 1 by 2^k in unary, a stop bit, and the remainder in k bits. The
31 bits of the norm travel beside it and are not counted here. Derived in
notebooks/04_spherical_compression.ipynb, steps 1 to 6.
"""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.cap import cap_mean_cosine, log2_cap_probability
from paper_code.bounds.domain import Result

Array = NDArray[np.float64]


@overload
def spherical_compression_bits(alpha: float, d: float) -> float: ...
@overload
def spherical_compression_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def spherical_compression_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return -log2 P(alpha, d) + 3, which the expected bits of T stay below.

    Equality: never; the best Rice parameter stays 1.43 bits below it, see
    `spherical_compression_expected_bits`.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, average case of Spherical Compression.

    >>> round(spherical_compression_bits(0.1, 100), 4)
    172.0051
    """
    return domain.result(3 - np.asarray(log2_cap_probability(alpha, d)))


@overload
def spherical_compression_expected_bits(alpha: float, d: float) -> float: ...
@overload
def spherical_compression_expected_bits(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def spherical_compression_expected_bits(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return the exact expected bits of T under the best Rice code, the same for every x.

    k + 1/(1 - (1 - P)^(2^k)) at k = `rice_parameter(P)`; P may be far below the least double.
    Equality: it is an expectation, not a bound.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, average case of Spherical Compression; expectation derived in this module.

    >>> round(spherical_compression_expected_bits(0.5, 2), 4)  # P = 1/4
    3.2857
    """
    log_rate = _log_rate_of_log2(np.asarray(log2_cap_probability(alpha, d)))
    return domain.result(_expected_bits(log_rate, _best_parameter(log_rate)))


@overload
def rice_parameter(p: float) -> int: ...
@overload
def rice_parameter(p: ArrayLike) -> NDArray[np.int64] | int: ...
def rice_parameter(p: ArrayLike) -> NDArray[np.int64] | int:
    """Return the Rice parameter k that is best for a geometric T >= 1 of success probability p.

    The least k >= 0 with (1 - p)^(2^k) <= (sqrt(5) - 1)/2: from there on one more bit of remainder
    costs more than it saves.

    Domain: 0 < p <= 1; ValueError otherwise.
    Source: Kiely, Selecting the Golomb parameter in Rice coding (2004), derived for integers.

    >>> rice_parameter([0.5, 0.3, 0.1, 2**-20]).tolist()
    [0, 1, 3, 19]
    """
    parameter = _best_parameter(_log_rate(domain.probability("p", p))).astype(np.int64)
    return parameter if parameter.ndim else int(parameter)


@overload
def rice_expected_bits(p: float, parameter: float) -> float: ...
@overload
def rice_expected_bits(p: ArrayLike, parameter: ArrayLike) -> Result: ...
def rice_expected_bits(p: ArrayLike, parameter: ArrayLike) -> Result:
    """Return the expected bits of the Rice code of a geometric T >= 1 of success probability p.

    k + 1 + E floor((T - 1)/2^k) = k + 1/(1 - (1 - p)^(2^k)).
    Equality: exact.

    Domain: 0 < p <= 1, whole parameter >= 0; ValueError otherwise.
    Source: derived here.

    >>> rice_expected_bits(0.5, [0, 1]).round(4).tolist()
    [2.0, 2.3333]
    """
    p, parameter = domain.probability("p", p), domain.whole("parameter", parameter, least=0)
    return domain.result(_expected_bits(_log_rate(p), parameter))


@overload
def geometric_entropy_bits(p: float) -> float: ...
@overload
def geometric_entropy_bits(p: ArrayLike) -> Result: ...
def geometric_entropy_bits(p: ArrayLike) -> Result:
    """Return the entropy of a geometric T >= 1: -log2 p - ((1 - p)/p) log2(1 - p), in bits.

    It exceeds -log2 p by less than log2 e = 1.4427, approached as p -> 0.

    Domain: 0 < p <= 1; ValueError otherwise.
    Source: textbook; the paper's case is p = P(alpha, d).

    >>> geometric_entropy_bits(0.5), round(geometric_entropy_bits(2**-30) - 30, 4)
    (2.0, 1.4427)
    """
    p = domain.probability("p", p)
    certain = p == 1
    inside = np.where(certain, 0.5, p)
    bits = -np.log2(inside) - (1 - inside) / inside * np.log1p(-inside) / np.log(2)
    return domain.result(np.where(certain, 0.0, bits))


@overload
def spherical_compression_mean_overlap(alpha: float, d: float) -> float: ...
@overload
def spherical_compression_mean_overlap(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def spherical_compression_mean_overlap(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return m = E<x^T, x> for a unit x: x^T/m is unbiased, because E x^T = m x by symmetry.

    m = sqrt(1 - alpha) E[t | t >= sqrt(1 - alpha)] = 1/2F1(d/2, 1; (d + 1)/2; alpha).
    Equality: m >= 1 - alpha always, and m -> 1 - alpha as d grows.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, unbiased Spherical Compression; closed form derived in this project.

    >>> round(spherical_compression_mean_overlap(0.75, 3), 12)  # (1/2) (1 + 1/2)/2
    0.375
    """
    alpha = domain.fraction("alpha", alpha)
    return domain.result(np.sqrt(1 - alpha) * cap_mean_cosine(alpha, d))


@overload
def spherical_compression_omega(alpha: float, d: float) -> float: ...
@overload
def spherical_compression_omega(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def spherical_compression_omega(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return omega of the unbiased scheme x^T/m: E||x^T/m - x||^2 = (1 - alpha)/m^2 - 1.

    Equality: exact for every x, hence the least omega that can be guaranteed. 0 at d = 1;
    -> alpha/(1 - alpha) as d grows, and never above it.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, unbiased Spherical Compression; closed form derived in this project.

    >>> [round(spherical_compression_omega(0.2, d), 4) for d in (1, 2, 10, 10**6)]
    [0.0, 0.0748, 0.1968, 0.25]
    """
    cosine = np.asarray(cap_mean_cosine(alpha, d))
    return domain.result((1 - cosine) * (1 + cosine) / cosine**2)


def _log_rate(p: Array) -> Array:
    """Return ln(-ln(1 - p)): the Rice code sees p through (1 - p)^(2^k) only."""
    certain = p == 1
    return np.where(certain, np.inf, np.log(-np.log1p(-np.where(certain, 0.5, p))))


def _log_rate_of_log2(log2_p: Array) -> Array:
    # -ln(1 - p) is p to all digits below 2^-60, where exp2 would start to lose p itself.
    usual = _log_rate(np.exp2(np.maximum(log2_p, -60.0)))
    return np.where(log2_p > -60, usual, log2_p * np.log(2))


def _best_parameter(log_rate: Array) -> Array:
    enough = np.log(np.log((1 + np.sqrt(5)) / 2))
    return np.maximum(np.ceil((enough - log_rate) / np.log(2)), 0.0)


def _expected_bits(log_rate: Array, parameter: Array) -> Array:
    # The stop bit of a certain success is all that is left of the quotient at rate = infinity.
    rate = np.exp(np.minimum(log_rate + parameter * np.log(2), 50.0))
    return parameter - 1 / np.expm1(-rate)
