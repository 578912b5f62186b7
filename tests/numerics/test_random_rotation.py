"""Rotations keep length, come back, and leave no bias where one round of signs leaves half."""

import math
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from paper_code import RotatedSign
from paper_code.numerics import random_rotation
from paper_code.numerics.random_rotation import HAAR_DIM, rotate, unrotate

DIMENSIONS = [1, 2, 3, 7, 63, 64, 65, 96, 127, 128, 129, 1000, 4095, 4096, 4097, 8191, 1 << 17]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_length_is_kept_and_the_inverse_comes_back(d: int, dtype: type) -> None:
    """Roundoff adds up over log2 d stages and a few rounds: 100 units cover it."""
    x = np.random.default_rng(d).standard_normal(d).astype(dtype)
    kept = x.copy()
    y = rotate(x, nonce=d)
    norm, unit = np.linalg.norm(x.astype(np.float64)), float(np.finfo(dtype).eps)
    assert y.dtype == x.dtype
    assert np.linalg.norm(y.astype(np.float64)) == pytest.approx(norm, rel=100 * unit)
    assert np.linalg.norm(unrotate(y, nonce=d) - x) <= 100 * unit * norm
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("d", [1, 2, 5, 64, 65, 100, 128])
def test_it_is_an_orthogonal_matrix(d: int) -> None:
    matrix = np.array([rotate(column, nonce=11) for column in np.eye(d)]).T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(d), atol=1e-13 * d)
    back = np.array([unrotate(column, nonce=11) for column in np.eye(d)]).T
    np.testing.assert_allclose(back, matrix.T, atol=1e-13 * d)


def test_transform_is_the_walsh_hadamard_matrix() -> None:
    """H_2n = [[H, H], [H, -H]], also across the border of what is transformed in cache."""
    for d in (8, 16, 32, 64, 128):
        matrix = np.ones((1, 1))
        while matrix.shape[0] < d:
            matrix = np.block([[matrix, matrix], [matrix, -matrix]])
        x = np.random.default_rng(d).standard_normal(d)
        for cached in (8, 16, 4096):
            y = x.copy()
            random_rotation._transform(y, cached)
            np.testing.assert_allclose(y, matrix @ x, atol=1e-12 * d)


def test_every_nonce_is_another_rotation() -> None:
    for d in (3, 64, 65, 1000):
        images = {rotate(np.arange(1.0, d + 1), nonce).tobytes() for nonce in range(50)}
        assert len(images) == 50


@pytest.mark.parametrize("d", [2, 3, 8])
def test_small_rotations_are_uniform(d: int) -> None:
    """A coordinate of a uniform unit vector: its square is Beta(1/2, (d-1)/2). False alarm 1e-6
    for each of two columns, first and last, and for their joint turn of a generic vector."""
    generic = np.arange(1.0, d + 1) / np.linalg.norm(np.arange(1.0, d + 1))
    for x in (np.eye(d)[0], np.eye(d)[-1], generic):
        images = np.array([rotate(x, nonce) for nonce in range(4000)])
        law = stats.beta(0.5, (d - 1) / 2).cdf
        for i in (0, d - 1):
            assert stats.kstest(images[:, i] ** 2, law).pvalue > 1e-6
        assert abs(np.mean(images[:, 0] > 0) - 0.5) < 5 * 0.5 / math.sqrt(4000)


def one_bit_bias(x: NDArray[np.float64], rounds: int, messages: int) -> tuple[float, float]:
    """Bias of unbiased 1-bit compression along the worst direction found in half the messages,
    measured in the other half, and its standard error, both relative to ||x||."""
    turn = partial(random_rotation._hadamard, rounds=rounds)
    back = partial(random_rotation._inverse_hadamard, rounds=rounds)
    errors = np.empty((messages, x.size))
    for nonce in range(messages):
        y = turn(x, nonce)
        scale = np.sum(x**2) / np.sum(np.abs(y))
        errors[nonce] = back(np.where(y < 0, -scale, scale), nonce) - x
    direction = errors[::2].mean(axis=0)
    seen = errors[1::2] @ (direction / np.linalg.norm(direction)) / np.linalg.norm(x)
    return float(seen.mean()), float(seen.std() / math.sqrt(seen.size))


@pytest.mark.parametrize("d", [64, 1024])
def test_one_round_leaves_a_bias_of_half_the_norm(d: int) -> None:
    """(2, 1, 0, ...): in one round |y_i| takes two values, whose signs are those of the 2 alone:
    C(x) = (5/2, 0, 0, ...), away from x by (1/2, -1), which is half of ||x||."""
    x = np.zeros(d)
    x[:2] = 2, 1
    bias, error = one_bit_bias(x, rounds=1, messages=400)
    assert bias == pytest.approx(0.5, abs=5 * error + 1e-9)


@pytest.mark.parametrize("d", [128, 1000])
def test_three_rounds_leave_none_where_they_are_used(d: int) -> None:
    """False alarm 6e-7 each."""
    assert random_rotation._rounds(d) == 3
    for x in (np.eye(d)[0], 2 * np.eye(d)[0] + np.eye(d)[1]):
        bias, error = one_bit_bias(x, rounds=3, messages=4000)
        assert abs(bias) <= 5 * error


def test_two_rounds_would_be_seen_there() -> None:
    """The test above has the power to tell: a bias of 2/d = 1.6 % is far beyond its errors."""
    bias, error = one_bit_bias(2 * np.eye(128)[0] + np.eye(128)[1], rounds=2, messages=4000)
    assert bias > 5 * error
    assert bias == pytest.approx(2 / 128, abs=0.5 / 128 + 5 * error)


def test_two_rounds_leave_little_where_they_are_used() -> None:
    """From d = 4097 on; 2/d = 0.05 % would take a million messages to see. False alarm 6e-7."""
    d = 8192
    assert random_rotation._rounds(d) == 2
    x = np.zeros(d)
    x[:2] = 2, 1
    bias, error = one_bit_bias(x, rounds=2, messages=300)
    assert abs(bias) <= 5 * error + 2 / d
    assert error < 0.01


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("d", [2, HAAR_DIM, 65, 96, 128, 1000])
def test_one_bit_error_is_that_of_a_uniform_rotation(d: int, unbiased: bool) -> None:
    """(1 - 2/pi)(1 - 1/d), and at most pi/2 - 1 unbiased, for vectors that a transform could
    favour. False alarm 6e-7 each."""
    rng, c = np.random.default_rng(d), RotatedSign(unbiased)
    for x in (np.eye(d)[0], np.eye(d)[-1], np.ones(d), np.eye(d)[0] + np.eye(d)[d // 2]):
        errors = [np.sum((c(x, rng) - x) ** 2) / np.sum(x**2) for _ in range(500)]
        level, spread = c.guarantee(d).level, 5 * np.std(errors) / math.sqrt(500)
        assert np.mean(errors) <= level + spread
        if not unbiased:
            assert np.mean(errors) >= level - spread


@pytest.mark.parametrize("d", [65, 100, 4096, 70_001, 1 << 17])
def test_roundoff_is_a_bound_of_what_rounding_adds(d: int) -> None:
    """float32 against the same rotation in float64; typically a tenth of the bound."""
    x = np.random.default_rng(d).standard_normal(d).astype(np.float32)
    length = np.linalg.norm(x.astype(np.float64))
    for turn in (rotate, unrotate):
        gap = np.linalg.norm(turn(x, 3).astype(np.float64) - turn(x.astype(np.float64), 3))
        assert 0 < gap <= random_rotation.roundoff(d, np.float32) * length


def test_a_portable_rotation_comes_back_and_keeps_length() -> None:
    portable = random_rotation.Rotation(portable=True)
    x = np.arange(1.0, 21)
    y = rotate(x, 3, portable)
    assert np.linalg.norm(y) == pytest.approx(np.linalg.norm(x), rel=1e-14)
    np.testing.assert_allclose(unrotate(y, 3, kind=portable), x, rtol=1e-13)


@pytest.mark.parametrize("d", [100, 5000, 1 << 13])
def test_another_number_of_rounds_is_another_rotation(d: int) -> None:
    x, three = np.arange(1.0, d + 1), random_rotation.Rotation(rounds=3)
    assert np.array_equal(rotate(x, 3, three), rotate(x, 3)) == (d <= 4096)
    np.testing.assert_allclose(unrotate(rotate(x, 3, three), 3, kind=three), x, rtol=1e-9)
