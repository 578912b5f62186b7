"""The cost model: its two sides meet at the break-even, and its traffic is what the hook counts."""

import gloo
import gloo_work
import numpy as np
import pytest

from paper_code.evaluation.network_cost import Codec, averaging_seconds, break_even

CODEC = Codec(bits=1.4, encode_speed=8e7, decode_speed=7e7)
D, N = np.meshgrid(10.0 ** np.arange(6, 11), 2.0 ** np.arange(1, 13))


def hook_bits(d: float, n: float, codec: Codec) -> float:
    """What a worker sends in a step: frames of 2 (n - 1) / n d coordinates, and 64-bit headers."""
    return 2 * (n - 1) / n * codec.bits * d + 3 * 64 * (n - 1)


def test_both_sides_take_the_same_time_at_the_break_even() -> None:
    speed, latency = break_even(D, N, 5e-5, CODEC), 5e-5
    assert (speed > 0).all() and speed.shape == D.shape
    ours = hook_bits(D, N, CODEC) / speed + 5 * (N - 1) * latency + CODEC.seconds(D, N)
    theirs = 2 * (N - 1) / N * 32 * D / speed + 2 * (N - 1) * latency  # a ring all-reduce
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(averaging_seconds(D, N, speed, latency, CODEC), ours, rtol=1e-9)
    np.testing.assert_allclose(averaging_seconds(D, N, speed, latency), theirs, rtol=1e-9)


def test_more_rounds_latency_or_work_lower_the_break_even() -> None:
    speed = break_even(D, N, 5e-5, CODEC)
    assert (break_even(D, N, 5e-5, CODEC, rounds=1.25) < speed).all()
    assert (break_even(D, N, 5e-4, CODEC) < speed).all()
    assert (break_even(D, N, 5e-5, Codec(1.4, 4e7, 7e7)) < speed).all()
    assert (break_even(D, N, 5e-5, Codec(40, 8e7, 7e7)) == 0).all()


def test_by_hand() -> None:
    codec = Codec(bits=2, encode_speed=100, decode_speed=100)
    # n = 2, d = 100: 1 s to encode, 1 s to decode (the other's message of half, and of its mean)
    assert codec.seconds(100, 2) == pytest.approx(2)
    # 3200 bits of a ring against 200 bits and three 64-bit headers: 2808 bits saved in 2 s
    assert break_even(100, 2, 0, codec) == pytest.approx(2808 / 2)
    # and with a latency of half a second, 5 - 2 messages more
    assert break_even(100, 2, 0.5, codec) == pytest.approx(2808 / (2 + 1.5))


def test_the_traffic_of_the_model_is_what_the_hook_counts() -> None:
    d, n = 100_000, 4
    outcomes = gloo.run(gloo_work.average, n, gloo_work.SCHEME, d, 1, 2, False)
    x = np.random.default_rng(0).standard_normal(d).astype(np.float32)
    codec = Codec(gloo_work.SCHEME.encode(x).bits / d, 1e300, 1e300)
    # Frames of 25,000 coordinates have some 30 bytes beside 2200 of payload; the means of decoded
    # vectors are not quite normal, and theirs are about 7 % shorter.
    for kind, value in outcomes:
        assert kind == "returned"
        # frames of 25,000 coordinates: some 30 bytes beside 2200 of payload
        assert value["sent"] == pytest.approx(hook_bits(d, n, codec) / 8, rel=0.05)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="encode_speed is 0; it must be positive"):
        Codec(1, 0, 1)
    for d, n in ((0, 2), (10, 1)):
        with pytest.raises(ValueError, match="need d >= 1 and n >= 2, got"):
            break_even(d, n, 0.0, CODEC)
    with pytest.raises(ValueError, match=r"rounds is 0\.5; at least 1 is needed"):
        break_even(10, 2, 0.0, CODEC, 0.5)
    with pytest.raises(ValueError, match=r"bandwidth is 0\.0; it must be positive"):
        averaging_seconds(10, 2, 0, 0.0)
