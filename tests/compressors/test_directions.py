"""The shared directions: uniform, found without a miss, the same whoever asks, within memory.

Every statistical test has fixed seeds; its false-alarm rate is that of a fresh seed.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

from paper_code.compressors.spherical import directions, pool
from paper_code.numerics import random_rotation, random_streams


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that ends after 4 096 directions of 5 coordinates, in blocks of up to 1 024."""
    monkeypatch.setattr(pool, "_FIRST", 512)
    monkeypatch.setattr(pool, "_DRAWN", 256)
    monkeypatch.setattr(pool, "BLOCK", 1024)
    monkeypatch.setattr(pool, "LARGEST", 4096)
    monkeypatch.setattr(pool, "blocks", pool._Blocks())


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
    error = random_streams.directions(1, 9, 0, 50_000, d, fast=True) - random_streams.directions(
        1, 9, 0, 50_000, d
    )
    assert np.linalg.norm(error, axis=0).max() < 1e-6


def test_normal_pairs_by_hand() -> None:
    """The word 2^63 has radius sqrt(2 ln 2) and angle 0, up to half a step of the grid."""
    cosine, sine = random_streams.normal_pairs(np.array([1 << 63], np.uint64))
    assert cosine[0] == pytest.approx(np.sqrt(2 * np.log(2)), abs=1e-9)
    assert sine[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("d", "threshold"), [(1, 0.9), (2, 0.99), (5, 0.85), (14, 0.6), (40, 0.4)])
def test_search_misses_no_direction(d: int, threshold: float, pooled: bool) -> None:
    """All hits of an exact search are found, in order, and few that fall short."""
    stop, unit = 70_000, np.random.default_rng(d).standard_normal(d)
    unit /= np.linalg.norm(unit)
    found = list(directions.near(unit, threshold, 9, pooled, stop))
    assert found == sorted(set(found)) and found[-1] < stop
    if pooled:
        exact = random_rotation.rotate(unit, 9) @ random_streams.directions(
            pool._KEY, pool._PURPOSE, 0, stop, d
        )
    else:
        exact = unit @ random_streams.directions(9, directions._FRESH, 0, stop, d)
    assert set(np.flatnonzero(exact >= threshold)) <= set(found)
    assert exact[found].min() > threshold - (0.013 * d**0.5 if pooled else 1e-5)
    for index in found[:5]:
        assert directions.direction(index, d, 9, pooled) @ unit == pytest.approx(exact[index])


@pytest.mark.usefixtures("small_pool")
def test_past_the_end_of_the_pool_draws_are_fresh() -> None:
    d, stop, unit = 5, 8192, np.eye(5)[1]
    assert pool.size(d) == 4096
    exact = np.array([directions.direction(i, d, 3, True) @ unit for i in range(stop)])
    fresh = unit @ random_streams.directions(3, directions._FRESH, 0, stop, d)
    same = np.abs(exact - fresh) < 1e-14
    assert same[4096:].all() and not same[:4096].any()
    hits = np.flatnonzero(exact >= 0.85)
    assert hits[0] < 4096 < hits[-1]
    assert set(hits) <= set(directions.near(unit, 0.85, 3, True, stop))
    assert sum(block.count for block in pool.blocks._held[d]) == 4096


@pytest.mark.usefixtures("small_pool")
def test_pools_keep_to_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = pool._Blocks()
    first = blocks.get(5, 2)
    monkeypatch.setattr(pool, "BYTES", blocks.bytes + 1)
    blocks.get(2, 0)  # one more drops the others
    assert 0 < blocks.bytes < pool.BYTES and 5 not in blocks._held
    again = blocks.get(5, 2)
    assert np.array_equal(again.tiles, first.tiles)
    assert np.array_equal(again.numbers, first.numbers)


@pytest.mark.parametrize("d", [1, 2, 14, 64])
def test_a_whole_pool_fits_its_memory(d: int) -> None:
    """Tiles are filled up by less than 64 columns for each key."""
    for count in (pool._FIRST, pool.BLOCK):
        keys = 1 << min(d, (count // pool._KEYED).bit_length() - 1)
        assert (count + 63 * keys) * (d + 4) <= 1.25 * count * (d + 4)
    assert pool.size(d) % pool.BLOCK == 0 and 1.25 * pool.size(d) * (d + 4) <= pool.BYTES


@pytest.mark.usefixtures("small_pool")
def test_threads_share_one_pool() -> None:
    def search(nonce: int) -> list[int]:
        return list(directions.near(np.eye(5)[0], 0.9, nonce, True, 4096))

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(search, range(40)))
    assert together == [search(nonce) for nonce in range(40)]
    assert sum(block.count for block in pool.blocks._held[5]) == 4096
