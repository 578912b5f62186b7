"""The lattice E8: its points, its density, and the bits above the bound that it is known for."""

import itertools
import math

import numpy as np
import pytest
from awkward import refused_when_damaged

from paper_code import E8
from paper_code.compressors.known.e8 import SECOND_MOMENT, _fill
from paper_code.messages.message import Message


def nearest(x: np.ndarray) -> np.ndarray:
    """Twice the nearest points of E8, by the kernel; ``x`` in units of the step."""
    levels = np.empty(x.size, np.int32)
    _fill(2 * x, 1.0, levels)
    return levels.reshape(-1, 8)


def vectors_of_norm_2() -> np.ndarray:
    """The 240 shortest: two of +-1, or all +-1/2 with an even number of minus signs; and 0."""
    pairs = [
        signs[0] * np.eye(8)[i] + signs[1] * np.eye(8)[j]
        for i, j in itertools.combinations(range(8), 2)
        for signs in itertools.product((1, -1), repeat=2)
    ]
    halves = [
        np.array(signs) / 2
        for signs in itertools.product((1, -1), repeat=8)
        if math.prod(signs) == 1
    ]
    return np.array([np.zeros(8), *pairs, *halves])


def test_points_are_of_the_lattice() -> None:
    """All even or all odd in halves, and the sum even in wholes."""
    found = nearest(3 * np.random.default_rng(0).standard_normal(80_000))
    assert np.all((found & 1) == (found[:, :1] & 1))
    assert np.all(found.sum(axis=1) % 4 == 0)
    assert 0.4 < np.mean(found[:, 0] & 1) < 0.6


def test_no_neighbour_is_nearer() -> None:
    """A point of E8 none of whose 240 neighbours is nearer is the nearest: they bound its cell."""
    x = 3 * np.random.default_rng(1).standard_normal((2000, 8))
    gap = x - nearest(x.reshape(-1)) / 2
    neighbours = vectors_of_norm_2()
    assert len(neighbours) == 241
    distances = np.sum((gap[:, None, :] - neighbours) ** 2, axis=2)
    assert np.all(distances[:, :1] <= distances + 1e-12)


def test_second_moment_of_a_cell() -> None:
    """Of points uniform modulo the lattice, in which 40 Z^8 lies: 5 standard errors."""
    x = np.random.default_rng(2).uniform(0, 40, (50_000, 8))
    squares = np.mean((x - nearest(x.reshape(-1)) / 2) ** 2, axis=1)
    assert abs(squares.mean() - SECOND_MOMENT) <= 5 * squares.std() / math.sqrt(squares.size)
    assert 0.5 * math.log2(2 * math.pi * math.e * SECOND_MOMENT) == pytest.approx(0.146, abs=5e-4)


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.1])
def test_bits_above_the_bound_at_high_rates(alpha: float) -> None:
    """.146 for fine steps; scale, models and the search's margin of alpha take under .005."""
    x = np.random.default_rng(3).standard_normal(1 << 17).astype(np.float32)
    message = E8(alpha).encode(x)
    gap = message.bits / x.size - 0.5 * math.log2(1 / alpha)
    assert gap == pytest.approx(0.146, abs=1e-2)


@pytest.mark.parametrize("d", [1, 7, 8, 9, 1000])
@pytest.mark.parametrize("alpha", [1e-9, 0.05, 0.9])
def test_error_is_met_at_every_dimension(d: int, alpha: float) -> None:
    rng = np.random.default_rng(d)
    for x in (rng.standard_normal(d), rng.standard_t(2, d), np.eye(d)[0], np.ones(d)):
        held = Message.from_bytes(E8(alpha).encode(x).to_bytes()).decode()
        assert np.sum((held - x) ** 2) <= alpha * np.sum(x**2) * (1 + 1e-9)


def test_damaged_payloads_are_refused_or_decode_to_another_vector() -> None:
    refused = refused_when_damaged(E8(0.1), (3, 50, 20_000), seed=6, times=60, reach=40)
    assert refused > 60  # of 180; one seed


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_settings(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha is"):
        E8(alpha)
