"""Rounds and total communication of compressed gradient descent (CGD) against plain descent (GD).

f is L-smooth and mu-strongly convex. GD with step 1/L sends 32 d bits a round; a code of `rate`
bits per coordinate sends rate d bits a round, in more rounds.
"""

import numpy as np
from numpy.typing import ArrayLike

from paper_code.bounds import domain
from paper_code.bounds.domain import Result

FLOAT_BITS = 32


def cgd_iteration_factor(alpha: ArrayLike) -> Result:
    """Return 1/(1 - alpha): rounds of CGD with a contractive compressor, over those of GD.

    With step 1/L. Equality: alpha = 0, plain GD.

    Domain: 0 < alpha < 1; ValueError otherwise.
    Source: paper, convergence of CGD.

    >>> cgd_iteration_factor(0.5)
    2.0
    """
    return domain.result(1 / (1 - domain.fraction("alpha", alpha)))


def cgd_iteration_factor_unbiased(omega: ArrayLike) -> Result:
    """Return 1 + omega: rounds of CGD with an unbiased compressor, over those of GD.

    With step 1/((1 + omega) L). Equality: omega = 0, plain GD.

    Domain: omega > 0; ValueError otherwise.
    Source: paper, convergence of CGD.

    >>> cgd_iteration_factor_unbiased(0.25)
    1.25
    """
    return domain.result(1 + domain.positive("omega", omega))


def total_communication(rate: ArrayLike, alpha: ArrayLike) -> Result:
    """Return (rate/32)/(1 - alpha): all the bits of contractive CGD, over those of GD.

    `rate` in bits per coordinate. Its inverse is the saving.

    Domain: rate > 0, 0 < alpha < 1; ValueError otherwise.
    Source: paper, total communication.

    >>> from paper_code.bounds.sparse_dithering import sparse_dithering_rate
    >>> round(1 / total_communication(sparse_dithering_rate(0.1), 0.1), 2)
    8.6
    """
    return domain.result(domain.positive("rate", rate) / FLOAT_BITS * cgd_iteration_factor(alpha))


def total_communication_unbiased(rate: ArrayLike, omega: ArrayLike) -> Result:
    """Return (rate/32)(1 + omega): all the bits of unbiased CGD, over those of GD.

    `rate` in bits per coordinate. Its inverse is the saving.

    Domain: rate > 0, omega > 0; ValueError otherwise.
    Source: paper, total communication.

    >>> from paper_code.bounds.sparse_dithering import unbiased_sparse_dithering_rate
    >>> round(1 / total_communication_unbiased(unbiased_sparse_dithering_rate(0.25), 0.25), 1)
    9.9
    """
    rate = domain.positive("rate", rate)
    return domain.result(rate / FLOAT_BITS * cgd_iteration_factor_unbiased(omega))


def optimal_code_communication(alpha: ArrayLike) -> Result:
    """Return (1/2) log2(1/alpha)/(1 - alpha)/32: total communication of an optimal code.

    Falls with alpha to (1/2) log2(e)/32 as alpha -> 1, 44 times below GD and never below that.
    Equality: the limit of optimal coverings as d grows, see `uncertainty_bits`.

    Domain: 0 < alpha < 1; ValueError otherwise.
    Source: paper, total communication; uncertainty principle.

    >>> round(32 * optimal_code_communication(1 - 1e-9), 2)  # bits per coordinate
    0.72
    >>> round(1 / optimal_code_communication(1 - 1e-9), 1)
    44.4
    """
    alpha = domain.fraction("alpha", alpha)
    # log1p of the exact 1 - alpha: near 1 the plain quotient is nothing but rounding error.
    bits = -np.log1p(-(1 - alpha)) / np.log(2) / 2
    bits = np.where(alpha > 0.5, bits, -np.log2(alpha) / 2)
    return domain.result(bits / (1 - alpha) / FLOAT_BITS)
