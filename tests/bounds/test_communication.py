"""Rounds and total communication: the printed savings, and that the optima are optima."""

import math

import numpy as np
import pytest

from paper_code import bounds


def test_printed_savings() -> None:
    assert f"{bounds.sparse_dithering_saving(0.1):.2f}" == "8.60"
    assert f"{bounds.unbiased_sparse_dithering_saving(0.25):.2f}" == "9.90"


def test_printed_optima() -> None:
    biased, unbiased = bounds.best_sparse_dithering(), bounds.best_unbiased_sparse_dithering()
    assert (f"{biased.level:.3f}", f"{biased.saving:.2f}") == ("0.157", "8.82")
    assert (f"{unbiased.level:.3f}", f"{unbiased.saving:.3f}") == ("0.243", "9.904")


@pytest.mark.parametrize("d", [None, 14, 1000])
def test_optima_beat_a_grid(d: int | None) -> None:
    nu, omega = np.linspace(0.001, 0.999, 5000), np.geomspace(0.001, 100, 5000)
    biased, unbiased = bounds.best_sparse_dithering(d), bounds.best_unbiased_sparse_dithering(d)
    best_of_grid = bounds.sparse_dithering_saving(nu, d).max()
    assert best_of_grid * (1 - 1e-12) <= biased.saving <= best_of_grid * (1 + 1e-5)
    best_of_grid = bounds.unbiased_sparse_dithering_saving(omega, d).max()
    assert best_of_grid * (1 - 1e-12) <= unbiased.saving <= best_of_grid * (1 + 1e-5)


def test_unbiased_optimum_solves_its_cubic() -> None:
    # The derivative of (1 + omega)(log2 3 + 1/(2 sqrt(omega))) in s = sqrt(omega).
    s = math.sqrt(bounds.best_unbiased_sparse_dithering().level)
    assert 4 * math.log2(3) * s**3 + s**2 - 1 == pytest.approx(0, abs=1e-6)


def test_savings_at_finite_d_count_the_header_and_tend_to_the_limit() -> None:
    d = np.array([10, 100, 10**4, 10**8])
    for saving, level in [
        (bounds.sparse_dithering_saving, 0.1),
        (bounds.unbiased_sparse_dithering_saving, 0.25),
    ]:
        finite = saving(level, d)
        assert np.all(np.diff(finite) > 0)
        assert finite[-1] == pytest.approx(saving(level), rel=1e-6)


def test_optimal_code_falls_to_its_limit() -> None:
    alpha = np.concatenate([np.geomspace(1e-6, 0.5, 50), 1 - np.geomspace(0.5, 1e-12, 50)[1:]])
    bits = 32 * bounds.optimal_code_communication(alpha)
    limit = math.log2(math.e) / 2
    assert np.all(np.diff(bits) < 0)
    assert np.all(bits > limit)
    assert bits[-1] == pytest.approx(limit, rel=1e-11)
    assert (f"{limit:.2f}", f"{32 / limit:.0f}") == ("0.72", "44")


def test_no_scheme_communicates_less_than_an_optimal_code() -> None:
    nu = np.linspace(0.01, 0.99, 99)
    best_possible = 1 / bounds.optimal_code_communication(nu)
    assert np.all(bounds.sparse_dithering_saving(nu) < best_possible)
    # Unbiased at omega: the same code, scaled, is contractive at omega/(1 + omega).
    omega = nu / (1 - nu)
    assert np.all(bounds.unbiased_sparse_dithering_saving(omega) < best_possible)
    for d in (1, 2, 14, 1000):  # the header's bits too
        assert np.all(bounds.sparse_dithering_saving(nu, d) < best_possible)
        assert np.all(bounds.unbiased_sparse_dithering_saving(omega, d) < best_possible)
        assert np.all(bounds.spherical_compression_saving(nu, d) < best_possible)


def test_communication_is_rate_times_rounds() -> None:
    assert bounds.total_communication(32, 0.75) == 4
    assert bounds.total_communication_unbiased(16, 3.0) == 2
    assert bounds.cgd_iteration_factor(0.2) == bounds.cgd_iteration_factor_unbiased(0.25) == 1.25


def test_top_k_by_its_guarantee_never_saves() -> None:
    k = np.arange(1, 41)
    exact = [32 * m + math.log2(math.comb(40, m)) for m in k.tolist()]
    np.testing.assert_allclose(bounds.top_k_bits(k, 40), exact, rtol=1e-13)
    np.testing.assert_allclose(bounds.top_k_distortion(k, 40), 1 - k / 40)
    saving = bounds.top_k_saving(k, 40)
    assert np.all(saving[:-1] < 1)
    assert saving[-1] == pytest.approx(1, rel=1e-14)
    alpha = bounds.top_k_distortion(k[:-1], 40)
    total = bounds.total_communication(bounds.top_k_bits(k[:-1], 40) / 40, alpha)
    np.testing.assert_allclose(saving[:-1], 1 / total, rtol=1e-12)
