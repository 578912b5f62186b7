"""Random numbers: their laws at raw level, their places in the stream, one tag for each use.

Kolmogorov-Smirnov of 2^21 numbers, false alarm 1e-6 for a fresh seed: it sees distances of 0.0019
between distribution functions, and numbers U^0.99 in place of U are 0.0037 away.
"""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from paper_code.numerics import random_streams
from paper_code.numerics.random_streams import Tag

MANY = 1 << 21
FALSE_ALARM = 1e-6


def is_uniform(numbers: np.ndarray) -> bool:
    return stats.kstest(numbers, "uniform").pvalue > FALSE_ALARM


def test_uniforms_are_uniform() -> None:
    numbers = random_streams.uniforms(1, 9, 0, MANY)
    assert is_uniform(numbers)
    assert not is_uniform(numbers**0.99)  # the test can tell
    assert numbers.min() > 0 and numbers.max() < 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_pairs_have_a_radius_and_an_angle_of_their_law(dtype: type) -> None:
    """r^2 / 2 is exponential, the angle uniform; the two normals are normal and uncorrelated."""
    pairs = random_streams.normal_pairs(random_streams.words(1, 9, 0, MANY), dtype)
    cosine, sine = (normals.astype(np.float64) for normals in pairs)
    assert is_uniform(np.exp(-(cosine**2 + sine**2) / 2))
    assert is_uniform(np.arctan2(sine, cosine) / (2 * np.pi) + 0.5)
    assert stats.kstest(cosine, "norm").pvalue > FALSE_ALARM
    assert abs(np.mean(cosine * sine)) < 5 / MANY**0.5  # false alarm 6e-7


def test_normal_pairs_by_hand() -> None:
    """The word 2^63 has radius sqrt(2 ln 2) and angle 0, up to half a step of the grid."""
    cosine, sine = random_streams.normal_pairs(np.array([1 << 63], np.uint64))
    assert cosine[0] == pytest.approx(np.sqrt(2 * np.log(2)), abs=1e-9)
    assert sine[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("d", [1, 5, 4097, 100_000, 200_000])
def test_numbers_drawn_in_parts_are_the_generators_own(d: int) -> None:
    """So they have its law, one for each coordinate."""
    parts = list(random_streams.drawn(d, np.random.default_rng(3)))
    assert [place for part, _ in parts for place in range(part.start, part.stop)] == [*range(d)]
    again = [numbers.copy() for _, numbers in random_streams.drawn(d, np.random.default_rng(3))]
    assert np.array_equal(np.concatenate(again), np.random.default_rng(3).random(d))


@pytest.mark.parametrize("d", [1, 2, 3, 5, 14])
def test_directions_are_uniform(d: int) -> None:
    """The squared first coordinate is Beta(1/2, (d - 1)/2): Kolmogorov-Smirnov, false alarm 1e-3.

    So is the last, and the product with any unit vector; signs are fair (4 standard deviations).
    """
    g = random_streams.directions(1, 9, 0, 4000, d)
    assert np.abs(np.sum(g**2, axis=0) - 1).max() < 1e-14
    diagonal = np.full(d, d**-0.5) @ g
    for t in (g[0], g[-1], diagonal):
        assert abs(np.mean(t > 0) - 0.5) < 4 * 0.5 / 4000**0.5
        if d > 1:
            assert stats.kstest(t**2, stats.beta(0.5, (d - 1) / 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("d", [1, 2, 3, 14, 64])
def test_fast_directions_lie_within_a_millionth(d: int) -> None:
    fast, exact = (random_streams.directions(1, 9, 0, 50_000, d, fast=f) for f in (True, False))
    assert np.linalg.norm(fast - exact, axis=0).max() < 1e-6


def test_every_use_has_a_tag_of_its_own_but_two() -> None:
    """The transforms of one rotation are six at most, with consecutive tags."""
    tags = {name: int(tag) for name, tag in Tag.__members__.items()}
    tags |= {f"ROTATION_SIGNS + {i}": Tag.ROTATION_SIGNS + i for i in range(1, 6)}
    taken = Counter(tags.values())
    assert {name for name, tag in tags.items() if taken[tag] > 1} == {"DITHER", "COORDINATES"}


@pytest.mark.parametrize("nonce", [-1, 1 << 64, None, b"12345678"])
def test_bad_nonces_are_refused(nonce: object) -> None:
    with pytest.raises(ValueError, match="nonce is"):
        random_streams.words(nonce, Tag.DIRECTIONS, 0, 1)
