"""The shared directions: found without a miss, the same for any thread, within their memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from paper_code.compressors.spherical import directions
from paper_code.numerics import random_streams
from paper_code.numerics.random_rotation import rotate, unrotate
from paper_code.numerics.random_streams import Tag


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that ends after 4 096 directions of 5 coordinates, in blocks of up to 1 024."""
    small = {"_FIRST": 512, "_DRAWN": 256, "_BLOCK": 1024, "_LARGEST_POOL": 4096}
    for name, value in {**small, "_blocks": directions._Blocks()}.items():
        monkeypatch.setattr(directions, name, value)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("d", "threshold"), [(1, 0.9), (2, 0.99), (5, 0.85), (14, 0.6), (40, 0.4)])
def test_search_misses_no_direction(d: int, threshold: float, pooled: bool) -> None:
    """All hits of an exact search are found, in order, and few that fall short."""
    stop, unit = 70_000, np.random.default_rng(d).standard_normal(d)
    unit /= np.linalg.norm(unit)
    found = list(directions.near(unit, threshold, 9, pooled, stop))
    assert found == sorted(set(found)) and found[-1] < stop
    if pooled:
        exact = rotate(unit, 9) @ random_streams.directions(0, Tag.POOLED_DIRECTIONS, 0, stop, d)
    else:
        exact = unit @ random_streams.directions(9, Tag.DIRECTIONS, 0, stop, d)
    assert set(np.flatnonzero(exact >= threshold)) <= set(found)
    assert exact[found].min() > threshold - (0.013 * d**0.5 if pooled else 1e-5)
    for index in found[:5]:
        assert directions.direction(index, d, 9, pooled) @ unit == pytest.approx(exact[index])


@pytest.mark.parametrize(("d", "alpha"), [(6, 0.3), (14, 0.5), (64, 0.8)])
def test_the_pools_index_by_signs_misses_no_direction_on_the_border(d: int, alpha: float) -> None:
    """The index bounds <g, y>^2 by 1 - the sum of y_i^2 over signs that differ: almost met here.

    y is in the plane of g and e_i, |g_i| < 1e-3, where y_i has the other sign and as much of y as
    the threshold leaves: g is a hit by 1e-9, and y_i^2 falls short of alpha by 1e-3 at most.
    """
    g = random_streams.directions(0, Tag.POOLED_DIRECTIONS, 0, 16_384, d)
    for i in range(min(d, 6)):  # 6 signs are in the index of the first block
        number = int(np.argmin(np.abs(g[i])))
        hit, rest = g[:, number], g[:, number].copy()
        assert abs(hit[i]) < 1e-3
        rest[i] = 0
        # <g, y> = cos(a - b) for y = cos(a) rest / |rest| - sin(a) sign(g_i) e_i
        slope = np.arctan2(abs(hit[i]), np.linalg.norm(rest))
        angle = np.arccos(np.sqrt(1 - alpha) + 1e-9) - slope
        y = np.cos(angle) * rest / np.linalg.norm(rest)
        y[i] = -np.sin(angle) * np.sign(hit[i])
        assert hit @ y >= np.sqrt(1 - alpha)
        assert alpha - 1e-3 < y[i] ** 2 < alpha
        nonce = 7
        unit = unrotate(y, nonce)
        assert number in directions.near(unit, np.sqrt(1 - alpha), nonce, True, number + 1)


@pytest.mark.usefixtures("small_pool")
def test_past_the_end_of_the_pool_draws_are_fresh() -> None:
    d, stop, unit = 5, 8192, np.eye(5)[1]
    assert directions.pool_size(d) == 4096
    exact = np.array([directions.direction(i, d, 3, True) @ unit for i in range(stop)])
    fresh = unit @ random_streams.directions(3, Tag.DIRECTIONS, 0, stop, d)
    same = np.abs(exact - fresh) < 1e-14
    assert same[4096:].all() and not same[:4096].any()
    hits = np.flatnonzero(exact >= 0.85)
    assert hits[0] < 4096 < hits[-1]
    assert set(hits) <= set(directions.near(unit, 0.85, 3, True, stop))
    assert sum(block.size for block in directions._blocks._held[d]) == 4096


@pytest.mark.usefixtures("small_pool")
def test_pools_keep_to_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = directions._Blocks()
    first = blocks.get(5, 2)
    monkeypatch.setattr(directions, "POOL_BYTES", blocks.bytes + 1)
    blocks.get(2, 0)  # one more drops the others
    assert 0 < blocks.bytes < directions.POOL_BYTES and 5 not in blocks._held
    again = blocks.get(5, 2)
    assert np.array_equal(again.tiles, first.tiles)
    assert np.array_equal(again.numbers, first.numbers)


@pytest.mark.parametrize("d", [1, 2, 14, 64])
def test_a_whole_pool_fits_its_memory(d: int) -> None:
    """Tiles are filled up by less than 64 columns for each key."""
    for count in (directions._FIRST, directions._BLOCK):
        keys = 1 << min(d, (count // directions._KEYED).bit_length() - 1)
        assert (count + 63 * keys) * (d + 4) <= 1.25 * count * (d + 4)
    assert (
        directions.pool_size(d) % directions._BLOCK == 0
        and 1.25 * directions.pool_size(d) * (d + 4) <= directions.POOL_BYTES
    )


@pytest.mark.usefixtures("small_pool")
def test_threads_share_one_pool() -> None:
    def search(nonce: int) -> list[int]:
        return list(directions.near(np.eye(5)[0], 0.9, nonce, True, 4096))

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(search, range(40)))
    assert together == [search(nonce) for nonce in range(40)]
    assert sum(block.size for block in directions._blocks._held[5]) == 4096
