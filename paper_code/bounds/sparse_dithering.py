"""Bits that Sparse Dithering promises; nu or omega is its distortion, tau its share of zeros.

A message spends 31 bits on gamma, log2 d on the number of zeros, log2 of a binomial coefficient
on where they are, one bit on each other sign and k bits on each level k >= 1 in unary.

Derived step by step in notebooks/03_sparse_dithering.ipynb: the deterministic bound in "The bound,
step by step", the misprint in "Two slips in the poster's statement", the expected bits in "The
randomised scheme: unbiased".
"""

from typing import overload

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from paper_code.bounds import domain
from paper_code.bounds.domain import Result

Array = NDArray[np.float64]


@overload
def sparse_dithering_bits(nu: float, d: float) -> float: ...
@overload
def sparse_dithering_bits(nu: ArrayLike, d: ArrayLike) -> Result: ...
def sparse_dithering_bits(nu: ArrayLike, d: ArrayLike) -> Result:
    """Return the most bits of a deterministic message: 30 + log2 d + beta(nu) d.

    Logarithms are not rounded up. Exact only up to 1 bit where no coordinate is zero, which is
    the worst case at d = 1, 2 and, for nu small enough, at every d (nu < 0.11 at d = 3, 0.007 at
    d = 10); a message that rounds its two logarithms up stays less than 2 bits above this, the
    rounding of gamma apart. `sparse_dithering_worst_bits` is exact in all of that.
    Equality: none exactly; the tangent case is a share tau* of zeros, all other levels equal.

    Domain: 0 < nu < 1, whole d >= 1; ValueError otherwise.
    Source: paper, bits of deterministic Sparse Dithering, with the correct 2 sqrt(nu).

    >>> [round(sparse_dithering_bits(0.1, d), 1) for d in (10, 14, 100, 1000)]
    [66.8, 80.7, 371.6, 3389.4]
    """
    nu, d = domain.fraction("nu", nu), domain.whole("d", d)
    return domain.result(30 + np.log2(d) + sparse_dithering_rate(nu) * d)


@overload
def sparse_dithering_rate(nu: float) -> float: ...
@overload
def sparse_dithering_rate(nu: ArrayLike) -> Result: ...
def sparse_dithering_rate(nu: ArrayLike) -> Result:
    """Return beta(nu) = 1/(4 sqrt(nu)) + log2(1 + 2^(3/2 + 1/(4 sqrt(nu)))), bits per coordinate.

    It is the maximum over tau of H2(tau) + (3/2)(1 - tau) + (1 - tau/2)/(2 sqrt(nu)).
    Equality: tau = tau*, see `sparse_dithering_worst_zero_share`.

    Domain: 0 < nu < 1; ValueError otherwise.
    Source: paper, bits of deterministic Sparse Dithering, maximised in closed form.

    >>> round(sparse_dithering_rate(0.1), 4)
    3.3494
    >>> from paper_code.bounds.worst_case import uncertainty_bits
    >>> round(sparse_dithering_rate(0.1) - uncertainty_bits(0.1, 1), 4)  # above the bound
    1.6885
    """
    quarter = 1 / (4 * np.sqrt(domain.fraction("nu", nu)))
    return domain.result(quarter + _log2_one_plus_exp2(1.5 + quarter))


@overload
def sparse_dithering_worst_zero_share(nu: float) -> float: ...
@overload
def sparse_dithering_worst_zero_share(nu: ArrayLike) -> Result: ...
def sparse_dithering_worst_zero_share(nu: ArrayLike) -> Result:
    """Return tau* = 1/(1 + 2^(3/2 + 1/(4 sqrt(nu)))), the share of zeros that costs the most.

    Domain: 0 < nu < 1; ValueError otherwise.
    Source: paper, bits of deterministic Sparse Dithering, maximised in closed form.

    >>> round(sparse_dithering_worst_zero_share(0.1), 4)
    0.1697
    """
    quarter = 1 / (4 * np.sqrt(domain.fraction("nu", nu)))
    return domain.result(np.exp2(-_log2_one_plus_exp2(1.5 + quarter)))


@overload
def sparse_dithering_bits_at(nu: float, d: float, tau: float) -> float: ...
@overload
def sparse_dithering_bits_at(nu: ArrayLike, d: ArrayLike, tau: ArrayLike) -> Result: ...
def sparse_dithering_bits_at(nu: ArrayLike, d: ArrayLike, tau: ArrayLike) -> Result:
    """Return the bound at a share tau of zeros, the curve whose peak is beta.

    30 + log2 d + (H2(tau) + (3/2)(1 - tau) + (1 - tau/2)/(2 sqrt(nu))) d.
    Equality: none exactly; Cauchy-Schwarz is tight for equal non-zero levels and tau = 0.

    Domain: 0 < nu < 1, whole d >= 1, 0 <= tau <= 1; ValueError otherwise.
    Source: paper, bits of deterministic Sparse Dithering, with the correct 2 sqrt(nu).

    >>> tau = sparse_dithering_worst_zero_share(0.1)
    >>> round(sparse_dithering_bits_at(0.1, 1000, tau) - sparse_dithering_bits(0.1, 1000), 9)
    0.0
    """
    return _bits_at(nu, d, tau, 2.0)


@overload
def sparse_dithering_bits_at_misprinted(nu: float, d: float, tau: float) -> float: ...
@overload
def sparse_dithering_bits_at_misprinted(nu: ArrayLike, d: ArrayLike, tau: ArrayLike) -> Result: ...
def sparse_dithering_bits_at_misprinted(nu: ArrayLike, d: ArrayLike, tau: ArrayLike) -> Result:
    """Return the curve as the poster prints it, sqrt(nu) in place of 2 sqrt(nu): a slip.

    30 + log2 d + (H2(tau) + (3/2)(1 - tau) + (1 - tau/2)/sqrt(nu)) d. True as an upper bound but
    loose: its peak at nu = 0.1 is 4.82 bits per coordinate, where the paper itself says 3.35.

    Domain: 0 < nu < 1, whole d >= 1, 0 <= tau <= 1; ValueError otherwise.
    Source: the authors' poster, as printed.

    >>> peak = sparse_dithering_bits_at_misprinted(0.1, 1, np.linspace(0, 1, 10_001)).max() - 30
    >>> round(float(peak), 2)
    4.82
    """
    return _bits_at(nu, d, tau, 1.0)


@overload
def unbiased_sparse_dithering_bits(omega: float, d: float) -> float: ...
@overload
def unbiased_sparse_dithering_bits(omega: ArrayLike, d: ArrayLike) -> Result: ...
def unbiased_sparse_dithering_bits(omega: ArrayLike, d: ArrayLike) -> Result:
    """Return the most expected bits of a randomised message.

    30 + log2 d + (log2 3 + 1/(2 sqrt(omega))) d, in expectation over the rounding, for every x.
    Equality: none exactly; approached for levels that leave a third of the coordinates zero.

    Domain: omega > 0, whole d >= 1; ValueError otherwise.
    Source: paper, bits of randomised Sparse Dithering.

    >>> rate = unbiased_sparse_dithering_rate(0.25)
    >>> round(rate, 3), round(32 / rate, 2), round(32 / rate / 1.25, 2)
    (2.585, 12.38, 9.9)
    """
    omega, d = domain.positive("omega", omega), domain.whole("d", d)
    return domain.result(30 + np.log2(d) + unbiased_sparse_dithering_rate(omega) * d)


@overload
def unbiased_sparse_dithering_rate(omega: float) -> float: ...
@overload
def unbiased_sparse_dithering_rate(omega: ArrayLike) -> Result: ...
def unbiased_sparse_dithering_rate(omega: ArrayLike) -> Result:
    """Return log2 3 + 1/(2 sqrt(omega)), expected bits per coordinate of the randomised scheme.

    Domain: omega > 0; ValueError otherwise.
    Source: paper, bits of randomised Sparse Dithering.

    >>> round(unbiased_sparse_dithering_rate(0.25), 3)
    2.585
    """
    return domain.result(np.log2(3) + 1 / (2 * np.sqrt(domain.positive("omega", omega))))


def _bits_at(nu: ArrayLike, d: ArrayLike, tau: ArrayLike, factor: float) -> Result:
    nu, d, tau = domain.fraction("nu", nu), domain.whole("d", d), domain.share("tau", tau)
    entropy = (scipy.special.entr(tau) + scipy.special.entr(1 - tau)) / np.log(2)
    levels = (1 - tau / 2) / (factor * np.sqrt(nu))
    return domain.result(30 + np.log2(d) + (entropy + 1.5 * (1 - tau) + levels) * d)


def _log2_one_plus_exp2(exponent: Array) -> Array:
    # As written, 2^exponent leaves the range of a double at nu below 6e-8.
    return np.logaddexp2(0.0, exponent)
