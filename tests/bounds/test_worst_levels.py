"""The costliest input of Sparse Dithering: exhaustive search, real messages, the bound above it."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from paper_code import SparseDithering, bounds
from paper_code.coding.bits import ceil_log2


def exhaustive_worst_bits(nu: float, d: int) -> int:
    """Cost every level vector that some unit vector rounds to, both limits of each cell checked."""
    length = Fraction(d) / (4 * Fraction(nu))
    highest = math.isqrt(math.ceil(length)) + 1
    most = 0
    for levels in itertools.combinations_with_replacement(range(highest + 1), d):
        zeros = levels.count(0)
        least = sum(Fraction(2 * k - 1, 2) ** 2 for k in levels if k)
        capacity = sum(Fraction(2 * k + 1, 2) ** 2 for k in levels)
        if zeros < d and least <= length <= capacity:
            subset = ceil_log2(math.comb(d, zeros))
            most = max(most, 31 + ceil_log2(d) + subset + d - zeros + sum(levels))
    return most


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 6])
def test_integer_programme_is_exhaustive_search(d: int) -> None:
    for nu in (0.02, 0.05, 0.1, 0.25, 0.3, 0.5, 0.9):
        fast = bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0)
        assert fast == exhaustive_worst_bits(nu, d), nu


def test_worst_bits_of_the_paper_restated() -> None:
    worst = bounds.sparse_dithering_worst_bits(0.1, [10, 14, 100, 1000])
    assert worst.tolist() == [67, 80, 366, 3343]
    formula = bounds.sparse_dithering_bits(0.1, [10, 14, 100, 1000])
    assert [f"{bits:.1f}" for bits in formula] == ["66.8", "80.7", "371.6", "3389.4"]


def test_one_bit_at_14_coordinates_hangs_on_the_rounding_of_gamma() -> None:
    # The double 0.1 lies above 1/10, and R = 35 is needed in full: without slack a bit is lost.
    assert bounds.sparse_dithering_worst_bits(0.1, 14, gamma_slack=0) == 79
    assert bounds.sparse_dithering_worst_bits(0.1, 14, gamma_slack=1e-15) == 80
    x = bounds.sparse_dithering_worst_input(0.1, 14, gamma_slack=1e-8)
    assert SparseDithering(0.1).encode(x).bits == 80


@pytest.mark.parametrize(
    ("nu", "d"),
    [(0.1, 1), (0.37, 2), (0.8, 3), (0.013, 10), (0.1, 100), (0.013, 1000), (0.8, 1000)],
)
def test_worst_input_costs_the_worst_bits(nu: float, d: int) -> None:
    u = bounds.sparse_dithering_worst_input(nu, d)
    assert u.shape == (d,)
    assert np.linalg.norm(u) == pytest.approx(1, abs=1e-14)
    levels = np.rint(u / (2 * math.sqrt(nu / d))).astype(int)
    zeros = int(np.count_nonzero(levels == 0))
    bits = 31 + ceil_log2(d) + ceil_log2(math.comb(d, zeros)) + d - zeros + int(levels.sum())
    assert bits == bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0)
    assert SparseDithering(nu).encode(u).bits == bits


@pytest.mark.parametrize("d", [1, 2, 5, 14, 100])
def test_no_message_exceeds_the_worst_bits(d: int) -> None:
    rng = np.random.default_rng(d)
    worst = bounds.sparse_dithering_worst_bits(0.1, d)
    directions = [*rng.standard_normal((50, d)), *(1 + 0.3 * rng.standard_normal((50, d)))]
    assert max(SparseDithering(0.1).encode(x).bits for x in directions) <= worst


@pytest.mark.parametrize(
    ("nu", "d", "printed"), [(0.1, 1, "0.65"), (0.1, 2, "0.30"), (1e-5, 18, "0.95")]
)
def test_the_printed_bound_slips_where_no_coordinate_is_zero(
    nu: float, d: int, printed: str
) -> None:
    worst = bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0, whole_bits=False)
    assert f"{worst - bounds.sparse_dithering_bits(nu, d):.2f}" == printed


def test_the_slip_stays_below_one_bit_and_two_in_whole_bits() -> None:
    nu, d = np.geomspace(1e-6, 0.99, 60)[:, None], np.arange(1, 60)
    formula = bounds.sparse_dithering_bits(nu, d)
    real = bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0, whole_bits=False) - formula
    whole = bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0) - formula
    assert 0.95 < real.max() < 1
    assert 1.5 < whole.max() < 2


def test_gamma_slack_costs_bits_and_never_saves_any() -> None:
    nu, d = np.geomspace(1e-6, 0.99, 20)[:, None], np.arange(1, 40)
    exact = bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0)
    assert np.all(bounds.sparse_dithering_worst_bits(nu, d) >= exact)
    assert np.any(bounds.sparse_dithering_worst_bits(nu, d, gamma_slack=0.1) > exact)
