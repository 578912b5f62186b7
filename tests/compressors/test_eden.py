"""Rotation and the Lloyd-Max quantiser: its constants, its optimality, its errors at every d."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from paper_code import Eden, RotatedSign
from paper_code.compressors.known.eden import lloyd_max

BIASED = {1: 0.3634, 2: 0.1175, 3: 0.03455, 4: 0.009501}
UNBIASED = {1: 0.5708, 2: 0.1331, 3: 0.03578, 4: 0.009592}


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_constants_in_high_dimension(bits: int) -> None:
    """Half a unit of the last digit that the sources' tables are known to."""
    assert Eden(bits).guarantee(10**9).level == pytest.approx(BIASED[bits], rel=5e-4)
    assert Eden(bits, unbiased=True).guarantee(10**9).level == pytest.approx(
        UNBIASED[bits], rel=5e-4
    )


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_a_level_is_the_mean_of_its_cell(bits: int) -> None:
    levels = np.array(lloyd_max(bits))
    edges = [0, *(levels[1:] + levels[:-1]) / 2, math.inf]
    for level, low, high in zip(levels, edges, edges[1:], strict=False):
        mass = stats.norm.cdf(high) - stats.norm.cdf(low)
        mean = integrate.quad(lambda t: t * stats.norm.pdf(t), low, high)[0] / mass
        assert level == pytest.approx(mean, abs=2**-24)  # levels are rounded to that


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("d", [2, 3, 10, 64])
def test_errors_of_random_directions_keep_the_promises(bits: int, d: int) -> None:
    """Means of 500 messages; one-sided at 4 standard errors: a false alarm of 3e-5 each."""
    rng = np.random.default_rng(d)
    for c in (Eden(bits), Eden(bits, unbiased=True)):
        x = rng.standard_normal(d)
        errors = [np.sum((c(x, rng) - x) ** 2) / np.sum(x**2) for _ in range(500)]
        slack = 4 * np.std(errors) / math.sqrt(len(errors))
        assert np.mean(errors) <= c.guarantee(d).level + slack


def test_one_bit_is_the_sign() -> None:
    """With the same nonce the same vector as RotatedSign's, up to the rounding of the scale."""
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for unbiased in (False, True):
        mine, known = (
            c(x, np.random.default_rng(5))
            for c in (Eden(1, unbiased), RotatedSign(unbiased=unbiased))
        )
        np.testing.assert_allclose(mine, known, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bits", [0, 5, 2.5, "2"])
def test_other_numbers_of_bits_are_refused(bits: object) -> None:
    with pytest.raises(ValueError, match=r"bits is .*; allowed are 1, 2, 3 and 4"):
        Eden(bits)
