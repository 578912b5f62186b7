"""Short vectors on the trellis: overlapping windows give one path, nearly the best, in few bits."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from awkward import relative_error

from paper_code import TrellisCompression, decode
from paper_code.coding.alphabet import REACH, SYMBOLS
from paper_code.coding.models import SCALES, model_bits
from paper_code.compressors.trellis import dealt, short
from paper_code.compressors.trellis.model_fit import cheapest_point_model
from paper_code.compressors.trellis.search import ROWS
from paper_code.compressors.trellis.short import Candidate, Defeated, ShortSearch, tune_short
from paper_code.compressors.trellis.viterbi import CLASSES, RATES, ungerboeck_trellis

BORDERS = [1, 2, 63, 255, 256, 511, 512, 2047, 2048, 8191, 8192, 16_383]
"""Where the number of windows changes, and what is shortest and longest."""


def normal(d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(d).astype(np.float32)


def searched(x: np.ndarray, states: int, step: float, ratio: float = 0.4) -> ShortSearch:
    search, rates = ShortSearch(x, states), np.empty(ROWS, np.float32)
    short.rounded_rates(x, step, rates)
    search.run(np.full(search.candidates, step), ratio, rates)
    return search


@pytest.mark.parametrize("states", [4, 8, 256])
@pytest.mark.parametrize("d", BORDERS)
def test_windows_make_one_path_through_the_trellis(d: int, states: int) -> None:
    x, trellis = normal(d), ungerboeck_trellis(states)
    search = searched(x, states, 0.6)
    for j in (0, search.candidates - 1):
        path, state, counts = search.candidate(j), 0, np.zeros((CLASSES, RATES), np.int64)
        for n in path.integers.tolist():
            assert n % 2 == state % 2
            counts[trellis.state_class[state], min(abs(n), RATES - 1)] += 1
            state = trellis.next_state[state, n >> 1 & 1]
        assert np.array_equal(path.counts, counts)
        assert path.inner == pytest.approx(float(path.integers @ x.astype(float)))
        assert path.squared == float(path.integers @ path.integers)


@pytest.mark.parametrize("states", [8, 64])
@pytest.mark.parametrize("d", [256, 1000, 10_000])
def test_windows_cost_a_path_next_to_nothing(
    d: int, states: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the best path of all, which one window finds."""

    def cost(search: ShortSearch) -> float:
        path = search.candidate(0)
        error = float(np.sum((x / 0.6 - path.integers) ** 2))
        used, n = path.counts, np.arange(RATES)
        rates = np.empty(ROWS, np.float32)
        short.rounded_rates(x, 0.6, rates)
        by_class = rates.reshape(CLASSES, 4).astype(float) / 64
        bits = sum(
            float(row @ np.where(n == 0, zero, a + b * n + c * n**2))
            for row, (zero, a, b, c) in zip(used, by_class, strict=True)
        )
        return error + 0.4 * bits

    x, borders = normal(d), short.windows_of(d) - 1
    windows = cost(searched(x, states, 0.6))
    monkeypatch.setattr(short, "windows_of", lambda _: 1)
    best = cost(searched(x, states, 0.6))
    assert (
        best * 0.999 <= windows <= best * 1.001 + 0.4 * borders
    )  # a bit each; rounded to 1/64 bit


@pytest.mark.parametrize(
    ("d", "alpha", "states", "most"),
    # .01 more than the search with 64 candidates in five rounds of before
    [
        (1000, 0.1, 8, 1.8384),
        (1000, 0.5, 8, 0.6835),
        (1000, 0.01, 8, 3.5089),
        (1000, 0.1, 64, 1.8158),
        (10_000, 0.1, 8, 1.7587),
    ],
)
def test_bits_of_short_messages(d: int, alpha: float, states: int, most: float) -> None:
    c, bits = TrellisCompression(alpha, states), []
    for seed in range(8):
        message = c.encode(normal(d, seed))
        assert relative_error(message.decode(), normal(d, seed)) <= alpha
        bits.append(message.bits / d)
    assert float(np.mean(bits)) <= most


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: np.sort(rng.standard_normal(1000)),
        lambda rng: rng.choice([-1.0, 1.0], 1000),
        lambda rng: np.ones(1000),
        lambda rng: rng.choice([-2.0, -1.0, 0.0, 3.0], 1000),
    ],
    ids=["sorted", "signs", "constant", "four values"],
)
def test_vectors_with_a_better_path_elsewhere_are_left_to_the_wider_search(
    draw: Callable[[np.random.Generator], np.ndarray],
) -> None:
    x = draw(np.random.default_rng(3))
    with pytest.raises(Defeated):
        tune_short(x, float(x @ x), 0.1, 8, None, 0.4)
    for alpha in (0.01, 0.9):
        assert relative_error(decode(TrellisCompression(alpha).encode(x).to_bytes()), x) <= alpha


def test_steps_on_both_sides_of_a_jump_of_the_error_close_in() -> None:
    """A hundred of 10,000 coordinates: left to the wider search this one takes 2,402 bits."""
    rng = np.random.default_rng([3, 10_000, 6])
    x = rng.standard_normal(10_000) * (rng.random(10_000) < 0.01)
    x[5000] += 1
    message = TrellisCompression(0.02, 64).encode(x.astype(np.float32))
    assert relative_error(message.decode(), x) <= 0.02
    assert message.bits <= 1310


def test_a_path_is_near_alpha_and_measured_on_x_itself() -> None:
    x = np.random.default_rng(4).standard_normal(3000) + 1e-9  # float64
    step, path = tune_short(x, float(x @ x), 0.1, 8, None, 0.4)
    assert isinstance(path, Candidate) and step > 0
    error = 1 - path.inner**2 / path.squared / float(x @ x)
    assert 0.09 < error <= 0.1
    scale = path.inner / path.squared
    assert float(np.sum((x - scale * path.integers) ** 2)) / float(x @ x) == pytest.approx(error)


@pytest.mark.parametrize("kind", ["normal", "Laplace", "student", "sparse"])
@pytest.mark.parametrize("size", [0.3, 1.0, 4.0])
def test_no_model_is_much_cheaper_than_the_one_found(kind: str, size: float) -> None:
    rng = np.random.default_rng(5)
    draws = {
        "normal": rng.standard_normal(2000),
        "Laplace": rng.laplace(size=2000),
        "student": rng.standard_t(2, 2000),
        "sparse": rng.standard_normal(2000) * (rng.random(2000) < 0.05) * 3,
    }
    integers = np.rint(size * draws[kind]).astype(int)
    histograms = np.zeros((3, SYMBOLS), np.int64)
    for n in integers[np.abs(integers) < 30].tolist():
        histograms[2 if n % 2 else int(rng.random() < 0.7), REACH + (n >> 1)] += 1
    family = dealt._PointModels()
    found = [int(part) for part in cheapest_point_model(histograms)]
    least = math.inf
    for scale in range(60, SCALES):
        for normal_tail in range(2):
            for first, second in ((i, i) for i in range(8)):
                name = family._name((scale, normal_tail, first, second))
                least = min(least, model_bits(histograms, family.weights(name)))
    bits = model_bits(histograms, family.weights(family._name(found)))
    assert bits <= 1.002 * least + 1
