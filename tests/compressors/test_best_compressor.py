"""The choice of a compressor: the fewest bits, by the committed table and by fresh messages."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from paper_code import (
    Compressor,
    EntropyCodedSparseDithering,
    SparseDithering,
    SphericalCompression,
    best_compressor,
    bounds,
)
from paper_code.compressors.best_compressor import STRICT, TABLE, UNBIASED, candidates

MEASURED = json.loads(TABLE.read_text())
DIMS = (8, 14, 100, 1000, 10_000, 1 << 17)
ALPHAS = (0.02, 0.1, 0.15, 0.3, 0.5, 0.55, 0.7, 0.9, 0.98)
DRAWS = 12.0  # of Spherical Compression, in log2: little work for a test


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d", DIMS)
def test_no_scheme_of_the_table_takes_two_per_cent_fewer_bits(
    d: int, alpha: float, unbiased: bool
) -> None:
    """The law of Spherical Compression's T is exact; all others were measured there."""
    row, column = MEASURED["dims"].index(d), MEASURED["alphas"].index(alpha)
    schemes = UNBIASED if unbiased else STRICT
    measured = [MEASURED["bits"][scheme][row][column] for scheme in schemes]
    bits = [each for each in measured if each is not None]
    log2_draws = 22 - math.log2(max(d / 64, 1))
    if not unbiased and -bounds.log2_cap_probability(alpha, d) <= log2_draws:
        bits.append(31 + bounds.spherical_compression_expected_bits(alpha, d))
    chosen = best_compressor(d, alpha, unbiased)
    expected = next(each.bits for each in candidates(d, alpha, unbiased) if each[0] == chosen)
    assert expected <= 1.02 * min(bits)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(
    ("d", "alpha"),
    [
        *((8, 0.02), (14, 0.15), (14, 0.9), (100, 0.55), (100, 0.1), (1000, 0.5), (1000, 0.9)),
        *((3, 0.3), (19, 0.25), (33, 0.07), (50, 0.45), (75, 0.3), (130, 0.6), (700, 0.25)),
        *((250, 0.52), (2000, 0.85)),
    ],
)
def test_no_scheme_takes_fewer_bits_on_fresh_vectors(d: int, alpha: float, unbiased: bool) -> None:
    """On and between the points of the table: 2 % and four standard errors of the difference.

    Some 130 comparisons at 3e-5: a false alarm of 4e-3 for all together.
    """
    rng = np.random.default_rng([d, 7])
    count = 100 if d < 200 else 12
    xs = rng.standard_normal((count, d), dtype=np.float32)
    rivals = {each.compressor: each.bits for each in candidates(d, alpha, unbiased, DRAWS)}
    bits = {each: np.array([each.encode(x, rng).bits for x in xs]) for each in rivals}
    chosen = best_compressor(d, alpha, unbiased, max_log2_draws=DRAWS)
    for rival in rivals:
        saved = bits[chosen] - bits[rival]
        chance = 4 * saved.std() / math.sqrt(count)
        assert saved.mean() <= 0.02 * bits[rival].mean() + chance, (chosen, rival)
    error = bits[chosen].std() / math.sqrt(count)
    # 5 %: a field of ceil(log2 d) bits among 16 makes a step between the table's d
    assert abs(bits[chosen].mean() / rivals[chosen] - 1) <= 0.05 + 4 * error / rivals[chosen]


@pytest.mark.parametrize("alpha", [1e-9, 0.1, 0.6, 0.95, 0.9999])
@pytest.mark.parametrize("d", [1, 2, 30, 1000, 1 << 22])
def test_the_level_is_kept(d: int, alpha: float) -> None:
    for count in ("payload", "frame"):
        strict = best_compressor(d, alpha, count=count).guarantee(d)
        assert strict.is_strict
        assert strict.alpha == alpha
        unbiased = best_compressor(d, alpha, unbiased=True, count=count).guarantee(d)
        assert unbiased.is_unbiased
        assert unbiased.omega <= alpha / (1 - alpha) * (1 + 1e-9)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("d", "alpha"), [(4, 0.1), (14, 0.15), (60, 0.4), (1000, 0.7)])
def test_frames_are_counted_too(d: int, alpha: float, unbiased: bool) -> None:
    """The chosen frame is the shortest: to one byte in the mean of 30, which is the rounding."""
    rng = np.random.default_rng(d)
    xs = rng.standard_normal((30, d), dtype=np.float32)

    def mean_bytes(c: Compressor) -> float:
        return float(np.mean([len(c.encode(x, rng).to_bytes()) for x in xs]))

    chosen = best_compressor(d, alpha, unbiased, count="frame", max_log2_draws=DRAWS)
    rivals = [mean_bytes(each.compressor) for each in candidates(d, alpha, unbiased, DRAWS)]
    assert mean_bytes(chosen) <= 1.02 * min(rivals) + 1


def test_spherical_compression_in_the_ridge_experiment() -> None:
    """d = 14, alpha = 0.15: 2^18 draws and fewer bits than all others, the shorter the norm."""
    chosen = best_compressor(14, 0.15)
    assert isinstance(chosen, SphericalCompression)
    assert chosen.norm_bits < 14
    few = best_compressor(14, 0.15, max_log2_draws=10)
    assert isinstance(few, SparseDithering)
    assert isinstance(best_compressor(14, 0.15, count="frame"), SparseDithering)


def test_a_sparse_vector_takes_fewer_bits_without_a_rotation() -> None:
    """What the docstring says of other vectors than normal ones."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(10_000) * (rng.random(10_000) < 0.01)
    chosen = best_compressor(x.size, 0.6)
    assert EntropyCodedSparseDithering(0.6).encode(x).bits < 0.5 * chosen.encode(x, rng).bits


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: best_compressor(0, 0.1), ValueError, "d is 0; allowed are integers from 1"),
        (lambda: best_compressor(2.0, 0.1), TypeError, "d is 2.0; allowed are integers from 1"),
        (
            lambda: best_compressor(5, 0.0),
            ValueError,
            "alpha is 0.0; allowed are 1e-9 <=",
        ),
        (
            lambda: best_compressor(5, 1.0),
            ValueError,
            "alpha is 1.0; allowed are 1e-9 <=",
        ),
        (
            lambda: best_compressor(5, 1 - 1e-7, unbiased=True),
            ValueError,
            "alpha is 0.9999999; allowed are 1e-9 <= alpha <= 1 - 1e-6",
        ),
        (lambda: best_compressor(5, 0.1, "no"), TypeError, "unbiased is 'no'; allowed are True"),
        (
            lambda: best_compressor(5, 0.1, count="bytes"),
            ValueError,
            "count is 'bytes'; allowed are 'payload' and 'frame'",
        ),
        (
            lambda: best_compressor(5, 0.1, max_log2_draws=40),
            ValueError,
            "max_log2_draws is 40; allowed are 0 to 32",
        ),
    ],
)
def test_settings_are_checked(
    make: Callable[[], Compressor], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make()
