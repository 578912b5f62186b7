"""Sparse Dithering's promises: peaks of curves, printed digits, exact expectations."""

import itertools
import math

import numpy as np
import pytest

from paper_code import bounds


def test_rate_is_the_peak_of_the_curve() -> None:
    nu = np.array([0.001, 0.01, 0.1, 0.5, 0.99])
    tau = np.linspace(0, 1, 100_001)[:, None]
    curve = bounds.sparse_dithering_bits_at(nu, 1, tau) - 30
    # The curve is flat at its peak: a grid of 1e-5 misses it by less than 1e-6 for these nu.
    np.testing.assert_allclose(curve.max(axis=0), bounds.sparse_dithering_rate(nu), atol=1e-6)
    peak = tau[curve.argmax(axis=0), 0]
    np.testing.assert_allclose(peak, bounds.sparse_dithering_worst_zero_share(nu), atol=2e-5)


def test_printed_digits() -> None:
    rate = bounds.sparse_dithering_rate(0.1)
    assert f"{rate:.4f}" == "3.3494"
    assert f"{bounds.sparse_dithering_worst_zero_share(0.1):.4f}" == "0.1697"
    assert f"{rate - bounds.uncertainty_bits(0.1, 1):.4f}" == "1.6885"


def test_tiny_nu_does_not_overflow() -> None:
    # log2(1 + 2^e) = e there: beta -> 1/(2 sqrt(nu)) + 3/2
    assert bounds.sparse_dithering_rate(1e-12) == pytest.approx(500_001.5, rel=1e-12)


def test_the_misprint_is_the_curve_with_a_level_term_twice_as_big() -> None:
    tau = np.linspace(0, 1, 11)
    extra = bounds.sparse_dithering_bits_at_misprinted(
        0.1, 50, tau
    ) - bounds.sparse_dithering_bits_at(0.1, 50, tau)
    np.testing.assert_allclose(extra, 50 * (1 - tau / 2) / (2 * math.sqrt(0.1)), rtol=1e-12)


@pytest.mark.parametrize("omega", [0.05, 0.25, 1.0, 4.0])
def test_unbiased_bound_against_the_exact_expectation(omega: float) -> None:
    """Every outcome of the random rounding is listed, for eight coordinates, with real logs."""
    d, rng = 8, np.random.default_rng(5)
    outcomes = np.array(list(itertools.product([0, 1], repeat=d)))
    log_choose = np.log2([math.comb(d, n) for n in range(d + 1)])
    inputs = [
        *rng.standard_normal((20, d)),
        *rng.standard_cauchy((10, d)),
        np.ones(d),
        np.eye(d)[0],
    ]
    for x in inputs:
        scaled = np.abs(x) / np.linalg.norm(x) / (2 * math.sqrt(omega / d))
        levels = np.floor(scaled) + outcomes
        share = np.where(outcomes == 1, scaled % 1, 1 - scaled % 1).prod(axis=1)
        zeros = np.count_nonzero(levels == 0, axis=1)
        bits = 31 + math.log2(d) + log_choose[zeros] + d - zeros + levels.sum(axis=1)
        assert share.sum() == pytest.approx(1)
        # The same slip as in the deterministic bound: up to 1 bit where no, or all, are zeros.
        ends = share[(zeros == 0) | (zeros == d)].sum()
        assert share @ bits <= bounds.unbiased_sparse_dithering_bits(omega, d) + ends + 1e-9


def test_unbiased_printed_digits() -> None:
    rate = bounds.unbiased_sparse_dithering_rate(0.25)
    assert f"{rate:.3f}" == "2.585"
    assert f"{32 / rate:.2f}" == "12.38"
