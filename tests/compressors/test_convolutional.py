"""Convolutional compression: the best word is found, alpha is kept, and every bit is counted."""

import math

import numpy as np
import pytest
from awkward import awkward_vectors, refused_when_damaged, relative_error

from benchmarks.convolutional import kinds
from paper_code import ConvolutionalCompression, bounds
from paper_code.compressors.convolutional import compression
from paper_code.compressors.convolutional.codes import (
    CLASSES,
    LONGEST,
    STATES,
    class_of,
    generators,
    sign_words,
    step_begins,
)
from paper_code.compressors.convolutional.viterbi import Search
from paper_code.messages.message import decode


def signs_of(words: np.ndarray, begins: np.ndarray, states: int) -> np.ndarray:
    """+-1, rows x 64."""
    negative = sign_words(words, begins, states)[:, None] >> np.arange(64, dtype=np.uint64)
    return 1 - 2 * (negative & np.uint64(1)).astype(np.int64)


@pytest.mark.parametrize("states", [64, 1024])
@pytest.mark.parametrize("rows", [9, 23, 150, 600])
def test_the_search_finds_the_best_of_all_words(states: int, rows: int) -> None:
    """All 2^10 words of ten steps, of 1 to 60 rows each, are tried on 64 vectors."""
    x = np.random.default_rng(rows).integers(-160, 161, (rows, 64)).astype(np.int16)
    begins = step_begins(rows, 10)
    search = Search(generators(states), int(np.diff(begins).max()), 10)
    search.advance(x.ravel(), begins)
    found = signs_of(search.trace(), begins, states)
    best = np.full(64, -(10**9))
    for start in range(0, 1 << 10, 64):
        bits = [start + np.arange(64) >> t & 1 for t in range(10)]
        words = [np.bitwise_or.reduce(b.astype("u8") << np.arange(64, dtype="u8")) for b in bits]
        every = signs_of(np.array(words), begins, states)
        best = np.maximum(best, (every.T @ x.astype(np.int64)).max(axis=0))
    np.testing.assert_array_equal(search.total, best)
    np.testing.assert_array_equal((found * x).sum(axis=0), best)


def test_a_long_search_reaches_what_its_word_has() -> None:
    """Metrics of 16 bits, brought back to zero every 16 steps, lose nothing."""
    rows = 64 * 200
    x = np.random.default_rng(1).normal(0, 16, (rows, 64)).round().astype(np.int16)
    begins = step_begins(rows, 200)
    search = Search(generators(256), 64, 200)
    search.advance(x[: 64 * 100].ravel(), begins[:101])
    search.advance(x[64 * 100 :].ravel(), begins[100:] - begins[100])
    word = signs_of(search.trace(), begins, 256)
    np.testing.assert_array_equal(search.total, (word * x).sum(axis=0))


def test_little_is_lost_where_paths_are_settled_on_the_way() -> None:
    rows, begins = 8 * 600, step_begins(8 * 600, 600)
    x = np.random.default_rng(2).normal(0, 32, (rows, 64)).round().astype(np.int16)
    reached = []
    for room in (600, 128):
        search = Search(generators(256), 8, room)
        search.advance(x.ravel(), begins)
        word = signs_of(search.trace(), begins, 256)
        reached.append((word * x).sum())
        np.testing.assert_array_equal(search.total, (word * x).sum(axis=0))
    assert len(search.settled) > 3
    assert 0.99 * reached[0] <= reached[1] <= reached[0]


@pytest.mark.parametrize("states", STATES)
def test_generators_have_the_taps_that_the_search_needs(states: int) -> None:
    code = generators(states)
    assert len(code) == LONGEST
    assert all(g & 1 and g >> (states.bit_length() - 1) == 1 for g in code)
    for start in range(0, LONGEST, CLASSES):
        assert {class_of(g) for g in code[start : start + CLASSES]} == set(range(CLASSES))


@pytest.mark.parametrize("states", [64, 256])
def test_strict_on_awkward_vectors(states: int) -> None:
    rng, alphas = np.random.default_rng(0), (0.54, 0.7, 0.9, 0.99, 0.99999)
    for i, x in enumerate(awkward_vectors(300, seed=11)):
        c = ConvolutionalCompression(alphas[i % len(alphas)], states)
        message = c.encode(x, rng)
        held = decode(message.to_bytes())
        assert held.dtype == x.dtype
        assert relative_error(held, x) <= c.alpha * (1 + 1e-12), (i, x.size, c)
        assert message.bits <= c.max_bits(x.size)


def test_the_same_bits_whatever_the_vector() -> None:
    """Rotated, all vectors look alike; within 1.5 %, and each within alpha."""
    c, rng = ConvolutionalCompression(0.9, 64), np.random.default_rng(4)
    bits = []
    for name, x in kinds(70_001).items():
        message = c.encode(x, rng)
        assert relative_error(message.decode(), x) <= 0.9, name
        bits.append(message.bits)
    assert max(bits) <= 1.015 * min(bits)


@pytest.mark.parametrize(("alpha", "most"), [(0.55, 1.13), (0.73, 1.13), (0.9, 1.13), (0.98, 1.15)])
def test_bits_over_the_bound(alpha: float, most: float) -> None:
    """256 states lose 9 to 10 %, the segments and first states the rest."""
    x = np.random.default_rng(5).standard_normal(1 << 19).astype(np.float32)
    message = ConvolutionalCompression(alpha, 256).encode(x, np.random.default_rng(6))
    assert relative_error(message.decode(), x) <= alpha
    assert message.bits <= most * x.size * 0.5 * math.log2(1 / alpha)


@pytest.mark.parametrize(("d", "most"), [(100, 65), (1000, 140), (10_000, 950)])
def test_bits_of_short_vectors(d: int, most: float) -> None:
    c, rng = ConvolutionalCompression(0.9), np.random.default_rng(7)
    assert np.mean([c.encode(rng.standard_normal(d), rng).bits for _ in range(20)]) <= most


@pytest.mark.parametrize(("d", "count"), [(50, 400), (1000, 60), (20_000, 20), (1 << 18, 4)])
def test_expected_bits_are_tight(d: int, count: int) -> None:
    """Of vectors that are not the normal ones that it was measured on."""
    c, rng = ConvolutionalCompression(0.9, 64), np.random.default_rng(14)
    bits = [c.encode(rng.laplace(size=d).astype(np.float32), rng).bits for _ in range(count)]
    error = np.std(bits) / math.sqrt(count)
    assert np.mean(bits) <= c.expected_bits(d) + 5 * error
    assert c.expected_bits(d) <= 1.01 * np.mean(bits)


@pytest.mark.parametrize("d", [2, 8, 20, 64])
def test_nothing_is_smuggled_in(d: int) -> None:
    """Without the scale, the mean bits stay above -log2 P, which no code can fall below."""
    c, rng = ConvolutionalCompression(0.6, 64), np.random.default_rng(8)
    bits = np.mean([c.encode(rng.standard_normal(d), rng).bits for _ in range(200)])
    assert bits - 31 >= -bounds.log2_cap_probability(0.6, d)


@pytest.mark.parametrize("x", [[2.0], [1.0, 0, 0, 0], [2.0, 1, 0, 0, 0, 0], [2.0, 1] + [0] * 98])
def test_unbiased(x: list[float]) -> None:
    x, runs, rng = np.array(x), 400, np.random.default_rng(9)
    c = ConvolutionalCompression(0.8, 64, unbiased=True)
    assert c.guarantee(x.size).omega == pytest.approx(4)
    errors = np.array([c(x, rng) for _ in range(runs)]) - x
    assert np.all(np.sum(errors**2, 1) <= 4 * np.sum(x**2) * (1 + 1e-6))
    # 5 standard errors of 111 means: false alarm < 1e-4
    assert np.all(np.abs(errors.mean(0)) <= 5 * errors.std(0) / math.sqrt(runs) + 1e-7)


def test_a_miss_takes_another_rotation_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(10).standard_normal(500)
    c, find = ConvolutionalCompression(0.9, 64), compression.find
    calls = []

    def failing(*arguments: object) -> object:
        calls.append(arguments)
        return find(*arguments) if len(calls) > 3 else None

    monkeypatch.setattr(compression, "find", failing)
    message = c.encode(x, np.random.default_rng(0))
    scale_and_attempts = int.from_bytes(message.payload[:5], "big") >> 40 - 35
    assert len(calls) == 4
    assert scale_and_attempts & 0b1111 == 0b1110  # three misses
    assert relative_error(decode(message.to_bytes()), x) <= 0.9


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_end_is_certain(monkeypatch: pytest.MonkeyPatch, unbiased: bool) -> None:
    """Where every search fails, 9 bits a coordinate do: an error of at most 1/9."""
    monkeypatch.setattr(compression, "find", lambda *_: None)
    c = ConvolutionalCompression(0.6, 64, unbiased)
    for x in awkward_vectors(60, seed=12):
        message = c.encode(x, np.random.default_rng(0))
        if np.any(x):
            assert message.bits == 31 + 6 + 9 * x.size
        assert message.bits <= c.max_bits(x.size)
        assert (
            relative_error(decode(message.to_bytes()), x) <= (1 / 8 if unbiased else 1 / 9) + 1e-3
        )


def test_zero_and_shapes() -> None:
    c, rng = ConvolutionalCompression(0.9), np.random.default_rng(0)
    assert c.encode(np.zeros((2, 3)), rng).bits == 31
    assert np.array_equal(c(np.zeros(70_000), rng), np.zeros(70_000))
    assert c(np.ones((2, 3, 50)), rng).shape == (2, 3, 50)


def test_pinned_message() -> None:
    message = ConvolutionalCompression(0.9, 64).encode(
        np.arange(1.0, 41, dtype=np.float32), np.random.default_rng(1)
    )
    # scale 31, first attempt 1, number of steps 6, candidate 6, and the bit of the only step
    assert (message.bits, message.payload.hex()) == (45, "821417f401c8")


def test_damaged_payloads_are_refused_or_decode_to_another_vector() -> None:
    c = ConvolutionalCompression(0.9, 64)
    refused = refused_when_damaged(c, (3, 50, 20_000, 300_000), seed=13, times=60, reach=12)
    assert refused > 120  # of 240; one seed


@pytest.mark.parametrize(
    "settings",
    [{"alpha": 0.5}, {"alpha": 1.0}, {"alpha": 0.9, "states": 32}, {"alpha": 0.53, "states": 64}],
)
def test_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="allowed are"):
        ConvolutionalCompression(**settings)


def test_a_refusal_names_the_scheme_to_take() -> None:
    with pytest.raises(ValueError, match=r"1024 states: take TrellisCompression"):
        ConvolutionalCompression(0.5)
