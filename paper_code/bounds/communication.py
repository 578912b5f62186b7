"""Rounds and total communication of compressed gradient descent (CGD) against plain descent (GD).

f is L-smooth and mu-strongly convex. GD with step 1/L sends 32 d bits a round; a code of `rate`
bits per coordinate sends rate d bits a round, in more rounds. The saving of a scheme is the inverse
of its total communication, and each has a distortion level at which it saves the most.
"""

from collections.abc import Callable
from typing import NamedTuple, overload

import numpy as np
import scipy
from numpy.typing import ArrayLike

from paper_code.bounds import domain, sparse_dithering
from paper_code.bounds.domain import Result
from paper_code.bounds.spherical import spherical_compression_expected_bits

FLOAT_BITS = 32
NORM_BITS = 31


@overload
def cgd_iteration_factor(alpha: float) -> float: ...
@overload
def cgd_iteration_factor(alpha: ArrayLike) -> Result: ...
def cgd_iteration_factor(alpha: ArrayLike) -> Result:
    """Return 1/(1 - alpha): rounds of CGD with a contractive compressor, over those of GD.

    With step 1/L. Equality: alpha = 0, plain GD.

    Domain: 0 < alpha < 1; ValueError otherwise.
    Source: paper, convergence of CGD.

    >>> cgd_iteration_factor(0.5)
    2.0
    """
    return domain.result(1 / (1 - domain.fraction("alpha", alpha)))


@overload
def cgd_iteration_factor_unbiased(omega: float) -> float: ...
@overload
def cgd_iteration_factor_unbiased(omega: ArrayLike) -> Result: ...
def cgd_iteration_factor_unbiased(omega: ArrayLike) -> Result:
    """Return 1 + omega: rounds of CGD with an unbiased compressor, over those of GD.

    With step 1/((1 + omega) L). Equality: omega = 0, plain GD.

    Domain: omega > 0; ValueError otherwise.
    Source: paper, convergence of CGD.

    >>> cgd_iteration_factor_unbiased(0.25)
    1.25
    """
    return domain.result(1 + domain.positive("omega", omega))


@overload
def total_communication(rate: float, alpha: float) -> float: ...
@overload
def total_communication(rate: ArrayLike, alpha: ArrayLike) -> Result: ...
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


@overload
def total_communication_unbiased(rate: float, omega: float) -> float: ...
@overload
def total_communication_unbiased(rate: ArrayLike, omega: ArrayLike) -> Result: ...
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


@overload
def optimal_code_communication(alpha: float) -> float: ...
@overload
def optimal_code_communication(alpha: ArrayLike) -> Result: ...
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


class Optimum(NamedTuple):
    """The distortion level (nu, omega) that saves the most, and the saving there."""

    level: float
    saving: float


@overload
def sparse_dithering_saving(nu: float, d: float | None = None) -> float: ...
@overload
def sparse_dithering_saving(nu: ArrayLike, d: ArrayLike | None = None) -> Result: ...
def sparse_dithering_saving(nu: ArrayLike, d: ArrayLike | None = None) -> Result:
    """Return (32/beta(nu))(1 - nu), the saving of deterministic Sparse Dithering.

    A lower bound for every input; at a given d it counts the 30 + log2 d bits of header too.

    Domain: 0 < nu < 1, whole d >= 1 or None; ValueError otherwise.
    Source: paper, total communication.

    >>> round(sparse_dithering_saving(0.1), 2)
    8.6
    """
    if d is None:
        rate = sparse_dithering.sparse_dithering_rate(nu)
    else:
        rate = sparse_dithering.sparse_dithering_bits(nu, d) / domain.whole("d", d)
    return domain.result(1 / np.asarray(total_communication(rate, nu)))


@overload
def unbiased_sparse_dithering_saving(omega: float, d: float | None = None) -> float: ...
@overload
def unbiased_sparse_dithering_saving(omega: ArrayLike, d: ArrayLike | None = None) -> Result: ...
def unbiased_sparse_dithering_saving(omega: ArrayLike, d: ArrayLike | None = None) -> Result:
    """Return 32/(log2 3 + 1/(2 sqrt(omega)))/(1 + omega), the saving of the randomised scheme.

    In expectation; at a given d it counts the 30 + log2 d bits of header too.

    Domain: omega > 0, whole d >= 1 or None; ValueError otherwise.
    Source: paper, total communication.

    >>> round(unbiased_sparse_dithering_saving(0.25), 2)
    9.9
    """
    if d is None:
        rate = sparse_dithering.unbiased_sparse_dithering_rate(omega)
    else:
        bits = sparse_dithering.unbiased_sparse_dithering_bits(omega, d)
        rate = bits / domain.whole("d", d)
    return domain.result(1 / np.asarray(total_communication_unbiased(rate, omega)))


@overload
def spherical_compression_saving(alpha: float, d: float) -> float: ...
@overload
def spherical_compression_saving(alpha: ArrayLike, d: ArrayLike) -> Result: ...
def spherical_compression_saving(alpha: ArrayLike, d: ArrayLike) -> Result:
    """Return the expected saving of Spherical Compression, its 31 bits of norm counted.

    Domain: 0 < alpha < 1, whole d >= 1; ValueError otherwise.
    Source: paper, total communication, with the exact expectation of its Rice code.

    >>> round(spherical_compression_saving(0.15, 14), 2)  # the paper's ridge experiment
    7.13
    """
    bits = NORM_BITS + np.asarray(spherical_compression_expected_bits(alpha, d))
    return domain.result(1 / np.asarray(total_communication(bits / domain.whole("d", d), alpha)))


@overload
def top_k_bits(k: float, d: float) -> float: ...
@overload
def top_k_bits(k: ArrayLike, d: ArrayLike) -> Result: ...
def top_k_bits(k: ArrayLike, d: ArrayLike) -> Result:
    """Return 32 k + log2 (d choose k), the bits of a top-k message; logarithm not rounded up.

    Domain: whole k >= 1, whole d >= k; ValueError otherwise.
    Source: paper, experiments.

    >>> round(top_k_bits(3, 14), 2)  # 96 + log2 364
    104.51
    """
    k, d = _sparsity(k, d)
    return domain.result(
        FLOAT_BITS * k - (scipy.special.betaln(k + 1, d - k + 1) + np.log1p(d)) / np.log(2)
    )


@overload
def top_k_distortion(k: float, d: float) -> float: ...
@overload
def top_k_distortion(k: ArrayLike, d: ArrayLike) -> Result: ...
def top_k_distortion(k: ArrayLike, d: ArrayLike) -> Result:
    """Return alpha = 1 - k/d, the guarantee of top-k; 0 at k = d, the identity.

    Equality: a vector whose entries all have the same magnitude.

    Domain: whole k >= 1, whole d >= k; ValueError otherwise.
    Source: folklore; Stich, Cordonnier, Jaggi, Sparsified SGD with memory (2018).

    >>> top_k_distortion(3, 12)
    0.75
    """
    k, d = _sparsity(k, d)
    return domain.result(1 - k / d)


@overload
def top_k_saving(k: float, d: float) -> float: ...
@overload
def top_k_saving(k: ArrayLike, d: ArrayLike) -> Result: ...
def top_k_saving(k: ArrayLike, d: ArrayLike) -> Result:
    """Return 32 k/(32 k + log2 (d choose k)): by its guarantee top-k never saves anything.

    Equality with 1: k = d, plain gradient descent. What top-k does save in practice comes from
    gradients that are far from its worst input.

    Domain: whole k >= 1, whole d >= k; ValueError otherwise.
    Source: paper, total communication, at top-k's guarantee.

    >>> top_k_saving([1, 5, 10], 10).round(3).tolist()
    [0.906, 0.953, 1.0]
    """
    k, d = _sparsity(k, d)
    return domain.result(FLOAT_BITS * k / top_k_bits(k, d))


def best_sparse_dithering(d: int | None = None) -> Optimum:
    """Return the nu that saves the most with deterministic Sparse Dithering, and the saving.

    >>> nu, saving = best_sparse_dithering()
    >>> round(nu, 3), round(saving, 2)
    (0.157, 8.82)
    """
    return _best(lambda nu: sparse_dithering_saving(nu, d), 1e-6, 1 - 1e-6)


def best_unbiased_sparse_dithering(d: int | None = None) -> Optimum:
    """Return the omega that saves the most with randomised Sparse Dithering, and the saving.

    >>> omega, saving = best_unbiased_sparse_dithering()
    >>> round(omega, 3), round(saving, 3)
    (0.243, 9.904)
    """
    return _best(lambda omega: unbiased_sparse_dithering_saving(omega, d), 1e-6, 1e6)


def _best(saving: Callable[[float], Result], low: float, high: float) -> Optimum:
    found = scipy.optimize.minimize_scalar(
        lambda log_level: -saving(np.exp(log_level)),
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    level = float(np.exp(found.x))
    return Optimum(level, float(saving(level)))


def _sparsity(k: ArrayLike, d: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    k, d = np.broadcast_arrays(domain.whole("k", k), domain.whole("d", d))
    if np.any(k > d):
        raise ValueError(f"k must be at most d = {d[k > d].flat[0]:g}, got {k[k > d].flat[0]:g}")
    return k, d
