"""Rounding to the element types: to the nearest number, ties to the even one."""

import math

import numpy as np
import pytest

from paper_code.numerics.float_types import float32_below, float32_near, to_bfloat16

torch = pytest.importorskip("torch")


def test_bfloat16_is_the_nearest_and_ties_go_to_the_even_one() -> None:
    assert to_bfloat16(np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8])).tolist() == [1.0, 1 + 2.0**-6]
    upper = np.random.default_rng(0).integers(0, 0x7F80, 10_000).astype(np.uint32) << np.uint32(16)
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):  # a tie is 0x8000
        x = (upper | np.uint32(lower)).view(np.float32)
        for values in (x, -x):
            expected = torch.from_numpy(values).to(torch.bfloat16).float().numpy()
            assert np.array_equal(to_bfloat16(values), expected)


@pytest.mark.parametrize("bits", [9, 10, 14, 30])
def test_short_floats_are_the_neighbours_of_a_value(bits: int) -> None:
    """One is below it and nearer than 2^-k; the other is off by half as much at most."""
    unit = 2.0 ** (8 - bits)
    values = np.ldexp(1 + np.random.default_rng(bits).random(400), np.arange(-100, 100).repeat(2))
    for value in [*values, 1.0, 1 + unit, 1 + unit / 2, 2 - unit / 2]:
        below, near = float32_below(value, bits), float32_near(value, bits)
        spacing = unit * 2.0 ** math.floor(math.log2(value))
        assert 0 <= value - below < spacing
        assert abs(near - value) <= min(spacing / 2, unit / 2 * value)
        assert all(math.fmod(held, spacing) == 0 for held in (below, near))


def test_31_bits_are_a_float32() -> None:
    values = np.exp(np.random.default_rng(1).uniform(-100, 88, 1000))
    assert [float32_near(v) for v in values] == values.astype(np.float32).tolist()
