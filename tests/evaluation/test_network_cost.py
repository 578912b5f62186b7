"""The cost model: its two sides meet at the break-even, and its traffic is what the hook counts."""

import gloo
import gloo_work
import numpy as np
import pytest

from paper_code.evaluation.network_cost import Codec, break_even, hook_seconds, reduce_seconds

CODEC = Codec(bits=1.4, encode_speed=8e7, decode_speed=7e7)
D, N = np.meshgrid(10.0 ** np.arange(6, 11), 2.0 ** np.arange(1, 13))


def test_both_sides_take_the_same_time_at_the_break_even() -> None:
    speed = break_even(D, N, 5e-5, CODEC)
    assert (speed > 0).all() and speed.shape == D.shape
    ours, theirs = hook_seconds(D, N, speed, 5e-5, CODEC), reduce_seconds(D, N, speed, 5e-5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    slower, faster = speed / 2, speed * 2
    assert (hook_seconds(D, N, slower, 5e-5, CODEC) < reduce_seconds(D, N, slower, 5e-5)).all()
    assert (hook_seconds(D, N, faster, 5e-5, CODEC) > reduce_seconds(D, N, faster, 5e-5)).all()


def test_more_rounds_latency_or_work_lower_the_break_even() -> None:
    speed = break_even(D, N, 5e-5, CODEC)
    assert (break_even(D, N, 5e-5, CODEC, rounds=1.25) < speed).all()
    assert (break_even(D, N, 5e-4, CODEC) < speed).all()
    assert (break_even(D, N, 5e-5, Codec(1.4, 4e7, 7e7)) < speed).all()
    assert (break_even(D, N, 5e-5, Codec(1.4, 8e7, 7e7, feedback=False)) > speed).all()
    assert (break_even(D, N, 5e-5, Codec(40, 8e7, 7e7)) == 0).all()


def test_by_hand() -> None:
    # n = 2, d = 100, 1 kbit/s, no latency: a ring sends 3200 bits.
    assert reduce_seconds(100, 2, 1e3, 0) == 3.2
    codec = Codec(bits=2, encode_speed=100, decode_speed=100, feedback=True)
    # 200 bits and three 64-bit lengths; 1 s to encode, 2.5 s to decode (own, results, half)
    assert hook_seconds(100, 2, 1e3, 0, codec) == pytest.approx(0.392 + 3.5)
    assert reduce_seconds(100, 4, 1e12, 0.5) == pytest.approx(3.0)
    assert hook_seconds(1, 4, 1e12, 0.5, codec) == pytest.approx(7.5 + 0.01 + 0.0275)


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
        assert value["sent"] == pytest.approx(hook_seconds(d, n, 8.0, 0, codec), rel=0.05)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="encode_speed is 0; it must be positive"):
        Codec(1, 0, 1)
    for bad in ((0, 2, 1), (10, 1, 1), (10, 2, 0.5)):
        with pytest.raises(ValueError, match="need d >= 1, n >= 2 and rounds >= 1"):
            break_even(bad[0], bad[1], 0.0, CODEC, bad[2])
