"""What is measured is what was sent, and chance in it fades as it should."""

import math

import numpy as np
import pytest

from paper_code import (
    Compressor,
    Identity,
    RandK,
    RotatedSign,
    SparseDithering,
    Ternary,
    TopK,
    bounds,
)
from paper_code.evaluation.measure import Mean, bias_ratio, costliest, distortion, measure


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([5, seed])


def test_mean_and_its_standard_error_by_hand() -> None:
    assert Mean.of([1.0, 3.0]) == (2.0, 1.0)  # variance 2, over 2 samples
    assert Mean.of([4.0]) == (4.0, 0.0)
    mean = Mean.of(np.array([[1, 2], [3, 6]], np.float16))
    assert mean == (3.0, pytest.approx(math.sqrt(14 / 3 / 4)))


def test_distortion_is_relative_and_knows_the_zero_vector() -> None:
    assert distortion(np.array([3.0, 4.0]), np.array([0.0, 0.0])) == 1
    assert distortion(np.zeros(2), np.zeros(2)) == 0
    assert distortion(np.zeros(2), np.array([0.0, 1e-30])) == 1
    halves = np.full(4, 65504, np.float16)  # whose squares overflow their own type
    assert distortion(halves, halves / np.float16(2)) == 0.25


def test_messages_are_counted_and_decoded_one_by_one() -> None:
    xs = np.array([[3, 4, 0], [0, 5, 12]], np.float32)
    seen = measure(TopK(k=1), xs)
    assert (seen.d, seen.bits, seen.most_bits) == (3, (34, 0), 34)  # a float and one of 3 places
    assert seen.distortion.value == pytest.approx((9 / 25 + 25 / 169) / 2)
    assert seen.worst_distortion == pytest.approx(9 / 25)
    frames = [8 * len(TopK(k=1).encode(x).to_bytes()) for x in xs]
    assert seen.frame_bits == Mean.of(frames)
    assert seen.rate == 34 / 3
    assert seen.gap == pytest.approx(34 / 3 + math.log2(seen.distortion.value) / 2)


def test_what_is_measured_travelled_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((1, 2), np.float32)
    assert measure(Identity(), x).distortion.value == 0
    other = Identity().encode(np.zeros(2, np.float32)).to_bytes()
    monkeypatch.setattr("paper_code.messages.message.Message.to_bytes", lambda message: other)
    assert measure(Identity(), x).distortion.value == 1


def test_twice_the_messages_shrink_the_spread_by_the_root_of_two() -> None:
    """600 series: each spread is known to 2.9 %, the ratio to 3.5 % (the series share messages).

    Five of those are 0.25, so a false alarm has a chance of about 6e-7 were the seed not fixed.
    Neither 1 (no shrinking) nor 2 (twice as fast) is allowed.
    """
    series, n = 600, 4
    x = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
    draws = rng()
    scheme = Ternary()
    errors = [distortion(x, scheme(x, draws)) for _ in range(2 * n * series)]
    errors = np.reshape(errors, (series, 2 * n))
    spread = {size: errors[:, :size].mean(axis=1).std(ddof=1) for size in (n, 2 * n)}
    assert spread[n] / spread[2 * n] == pytest.approx(math.sqrt(2), abs=0.25)
    # and the standard error that is reported is the spread that is there, to 5 * 2.9 %
    reported = np.mean([Mean.of(row).error ** 2 for row in errors]) ** 0.5
    assert reported == pytest.approx(spread[2 * n], rel=0.15)


def test_measure_repeats_for_the_same_seed_and_nears_the_guarantee() -> None:
    xs = np.tile(np.arange(1, 9, dtype=np.float32), (400, 1))
    seen = measure(RandK(k=2), xs, rng())
    assert seen == measure(RandK(k=2), xs, rng())
    # omega = d/k - 1 = 3 for every x; five standard errors: a false alarm in 2 million
    assert abs(seen.distortion.value - 3) < 5 * seen.distortion.error
    assert 0 < seen.distortion.error < 0.5


@pytest.mark.parametrize("scheme", [RandK(k=3), Ternary(), SparseDithering(0.25, unbiased=True)])
def test_bias_ratio_of_an_unbiased_compressor_stays_near_one(scheme: Compressor) -> None:
    """d = 200 nearly independent coordinates: deviation about 0.1, so 1.6 is above five of them."""
    x = rng().standard_normal(200)
    for repeats in (50, 400):
        assert 0.4 < bias_ratio(scheme, x, repeats, rng(repeats)) < 1.6


def test_bias_ratio_of_a_biased_compressor_grows_with_repeats() -> None:
    x = rng().standard_normal(200)
    few, many = (bias_ratio(RotatedSign(), x, n, rng(n)) for n in (50, 400))
    assert few > 10
    assert many / few == pytest.approx(8, rel=0.2)  # chance is 1 of 60 in the first


def test_bias_ratio_of_a_deterministic_compressor() -> None:
    x = rng().standard_normal(20)
    assert bias_ratio(TopK(k=3), x, 30, rng()) == math.inf
    assert bias_ratio(SparseDithering(0.1), x, 30, rng()) == math.inf
    assert bias_ratio(Identity(), x, 30, rng()) == 1
    with pytest.raises(ValueError, match="repeats is 1; a variance needs at least 2"):
        bias_ratio(Identity(), x, 1, rng())


def test_the_search_never_gives_up_bits_and_stays_under_the_worst_input() -> None:
    scheme, start = SparseDithering(0.1), np.ones(50)
    found = [costliest(scheme, start, rounds, rng()) for rounds in (0, 100, 1000)]
    bits = [scheme.encode(x).bits for x in found]
    assert np.array_equal(found[0], start)
    assert bits == sorted(bits)
    assert bits[2] > bits[0]
    assert bits[2] <= bounds.sparse_dithering_worst_bits(0.1, 50)
    assert np.array_equal(found[2], costliest(scheme, start, 1000, rng()))
    assert np.array_equal(start, np.ones(50))
