"""Vectors in pieces, encoded and decoded side by side: what is sent does not depend on it."""

import numpy as np
import pytest

from paper_code import Compressor, SparseDithering
from paper_code.distributed import array_stream
from paper_code.distributed.error_feedback import encode_pieces
from paper_code.distributed.vectors import PIECE, joined, mean, pieces, side_by_side, split

UNBIASED = SparseDithering(0.25, unbiased=True)


def test_no_message_is_much_shorter_than_the_others() -> None:
    """Top-k of a vector a little longer than one message must find its k in each."""
    x = np.arange(PIECE + 5)
    assert [len(part) for part in pieces(x)] == [(PIECE + 5) // 2, (PIECE + 6) // 2]
    assert np.array_equal(np.concatenate(pieces(x)), x)
    assert [len(part) for part in pieces(x[:PIECE])] == [PIECE]
    assert pieces(x[:0]) == []


def test_what_is_joined_comes_apart_again() -> None:
    arrays = {"a": np.ones((2, 3)), "none": np.ones((0, 4)), "b": np.full((), 2.0)}
    parts = split(joined(arrays.values(), np.float32), {n: x.shape for n, x in arrays.items()})
    for name, array in arrays.items():
        np.testing.assert_array_equal(parts[name], array.astype(np.float32), strict=True)
    assert joined([], np.float32).shape == (0,)


def test_a_mean_is_the_sum_in_order_over_the_number() -> None:
    parts = [np.float32([1e8, 1]), np.float32([-1e8, 1]), np.float32([1, 1])]
    assert mean(parts).tolist() == [np.float32(1) / np.float32(3), 1]  # 1e8 - 1e8 came first
    assert parts[0].tolist() == [1e8, 1]
    assert mean(parts, parts[0]) is parts[0] and parts[0].tolist() == [np.float32(1 / 3), 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_side_by_side_keeps_the_order_and_raises_what_failed(threads: int) -> None:
    assert side_by_side(lambda i: i**2, range(20), threads) == [i**2 for i in range(20)]
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda i: 1 // (i - 5), range(20), threads)


@pytest.mark.parametrize("threads", [0, True, 1.5, "2"])
def test_a_number_of_threads_is_refused(threads: object) -> None:
    with pytest.raises(ValueError, match=f"threads is {threads!r}; allowed are whole numbers"):
        side_by_side(abs, [1], threads)


@pytest.mark.parametrize("compressor", [SparseDithering(0.25), UNBIASED], ids=["plain", "draws"])
def test_bytes_do_not_depend_on_the_number_of_threads(compressor: Compressor) -> None:
    x = np.random.default_rng(0).standard_normal(2 * PIECE + 5).astype(np.float32)
    sent = []
    for threads in (1, 3):
        empty, out = np.zeros_like(x), np.empty_like(x)
        rngs = [np.random.default_rng(1) for _ in range(3)]
        fed_back = encode_pieces(compressor, x, empty, rngs[0], threads, out)
        alone = encode_pieces(compressor, x, None, rngs[1], threads)
        plain = array_stream.to_bytes(pieces(x), compressor, rngs[2], threads)
        data = fed_back.to_bytes()
        back = joined(array_stream.from_bytes(data, pieces(x), PIECE, threads), np.float32)
        assert plain == data == alone.to_bytes()  # the first memory is empty
        assert np.array_equal(back, fed_back.held) and np.array_equal(back, alone.held)
        assert fed_back.memory is out and np.array_equal(x - back, out)
        assert alone.memory is None and not empty.any()
        sent.append(data)
        own = x.copy()
        there = encode_pieces(compressor, own, empty, np.random.default_rng(1), threads, out, own)
        assert there.held is own and np.array_equal(own, back) and np.array_equal(x - back, out)
    assert sent[0] == sent[1]
