"""Compressed gradient descent: its rates, its accounts of bytes, and how a run ends."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from paper_code import Identity, TopK
from paper_code.companion.data_sets import Moments
from paper_code.descent.one_worker import (
    CompressedGradientDescent,
    Run,
    descend,
    normal_start,
    repeat,
    step_size,
)
from paper_code.descent.problems import Ridge


@dataclass(frozen=True)
class Level:
    """The part of a guarantee that a step size asks for."""

    is_unbiased: bool
    omega: float = 0.0


@dataclass(frozen=True)
class Sent:
    """A message whose payload is the array itself, and that charges 32 bits a number sent."""

    payload: np.ndarray
    bits: int


@dataclass(frozen=True)
class Largest:
    """Sends the k largest entries, times a random factor of mean 1 within 1 ± noise."""

    k: int
    noise: float = 0.0

    def encode(self, x: np.ndarray, rng: np.random.Generator | None = None) -> Sent:
        assert x.dtype == np.float32
        kept = np.argsort(-np.abs(x), kind="stable")[: self.k]
        factor = 1 + self.noise * rng.uniform(-1, 1) if self.noise else 1
        payload = np.zeros_like(x)
        payload[kept] = np.float32(factor) * x[kept]
        return Sent(payload, 32 * self.k)

    def decode(self, message: Sent) -> np.ndarray:
        return message.payload

    def guarantee(self, d: int) -> Level:
        return Level(is_unbiased=self.k == d, omega=self.noise**2 / 3)


DIAGONAL = Ridge(np.diag([0.5, 1.0, 3.0]), np.array([1.0, -2.0, 3.0]), regularisation=0.5)
START = np.array([2.0, 1.0, -1.0])


def bodyfat() -> Ridge:
    m = Moments.read()
    return Ridge.from_moments(m.gram, m.moment, m.n, m.target_power)


def test_gradient_descent_follows_its_closed_form() -> None:
    run = descend(DIAGONAL, CompressedGradientDescent(Largest(3)), START, stop_error=1e-8)
    curvature = np.array([1.0, 1.5, 3.5])
    t = np.arange(len(run.errors))[:, None]
    distances = (1 - curvature / 3.5) ** t * (START - DIAGONAL.minimiser)
    expected = np.sum(distances**2, axis=1) / np.sum(distances[0] ** 2)
    # Each gradient is rounded to float32: 6e-8 of it, more where its terms cancel.
    np.testing.assert_allclose(run.errors, expected, rtol=1e-5)
    assert run.outcome == "reached"
    assert run.bits.tolist() == [96 * int(i) for i in t[:, 0]]
    assert run.errors[0] == 1 and run.errors[-1] <= 1e-8 < run.errors[-2]


def test_descent_is_within_the_rate_of_theory() -> None:
    problem = bodyfat()
    plain = descend(problem, CompressedGradientDescent(Identity()), normal_start(0, 14))
    t = np.arange(len(plain.errors))
    assert (plain.errors <= (1 - 1 / problem.kappa) ** (2 * t) * (1 + 1e-6)).all()
    # Top-1 is contractive with alpha = 1 - 1/d: the value's gap shrinks by 1 - 1/(d kappa) a round,
    # and mu/2 |x - x*|^2 <= f(x) - f(x*) <= L/2 |x - x*|^2.
    largest = descend(DIAGONAL, CompressedGradientDescent(TopK(1)), START, stop_error=1e-8)
    t = np.arange(len(largest.errors))
    rate = 1 - 1 / (DIAGONAL.d * DIAGONAL.kappa)
    assert largest.outcome == "reached"
    assert (largest.errors <= DIAGONAL.kappa * rate**t * (1 + 1e-6)).all()


def test_gradient_descent_on_bodyfat_sends_the_published_bytes() -> None:
    runs = repeat(bodyfat(), CompressedGradientDescent(Identity()), 100)
    median = float(runs.median_bytes(1e-4))
    assert median % 28 == 0  # messages of 56 bytes, and the mean of the two middle runs
    assert (
        abs(median / 62_374 - 1) <= 0.03
    )  # reading error 1 % of the axis, median over starts 0.4 %
    # The calibration's median over 10 to 40 starts has itself a standard error of up to 1.4 %.
    assert abs(median / 62_720 - 1) <= 0.014


def test_steps_of_theory() -> None:
    assert step_size(DIAGONAL, Level(is_unbiased=False)) == 1 / 3.5
    assert step_size(DIAGONAL, Level(is_unbiased=True, omega=0.25)) == 1 / (1.25 * 3.5)
    noisy = Largest(3, noise=0.5)
    by_default = descend(
        DIAGONAL, CompressedGradientDescent(noisy), START, np.random.default_rng(0)
    )
    step = 1 / ((1 + 0.25 / 3) * DIAGONAL.L)
    explicit = descend(
        DIAGONAL, CompressedGradientDescent(noisy, step), START, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(by_default.errors, explicit.errors)


def test_bytes_to_reach_is_the_first_crossing() -> None:
    run = Run(np.array([1, 0.1, 0.2, 0.05]), np.array([0, 12, 24, 36]), "reached")
    assert run.bytes_to_reach(1.0) == 0
    assert run.bytes_to_reach(0.1) == 1.5  # although the error rises again
    np.testing.assert_array_equal(
        run.bytes_to_reach([0.15, 0.07, 0.05, 0.01]), [1.5, 4.5, 4.5, np.inf]
    )


def test_runs_that_never_arrive_say_why_and_end() -> None:
    diverging = descend(DIAGONAL, CompressedGradientDescent(Largest(3), 10.0), START)
    assert diverging.outcome == "diverged" and len(diverging.errors) < 100
    assert diverging.bytes_to_reach(1e-4) == np.inf
    slow = descend(DIAGONAL, CompressedGradientDescent(Largest(3), 1e-6), START, rounds=7)
    assert slow.outcome == "out of rounds" and len(slow.errors) == 8
    assert slow.bytes_to_reach([0.5, 1.0]).tolist() == [np.inf, 0]


def test_a_method_that_turns_to_nan_has_diverged() -> None:
    class Broken:
        def iterates(self, problem: object, start: np.ndarray, rng: object) -> object:
            yield start / 2, 8
            yield start * np.nan, 8

    run = descend(DIAGONAL, Broken(), START)
    assert run.outcome == "diverged" and run.bits.tolist() == [0, 8, 16]


def test_seeds_decide_everything_and_starts_do_not_depend_on_the_method() -> None:
    noisy = CompressedGradientDescent(Largest(3, noise=0.5))
    first, again = repeat(DIAGONAL, noisy, 4), repeat(DIAGONAL, noisy, [0, 1, 2, 3])
    for a, b in zip(first.runs, again.runs, strict=True):
        np.testing.assert_array_equal(a.errors, b.errors)
        np.testing.assert_array_equal(a.bits, b.bits)
    assert repeat(DIAGONAL, noisy, [3]).runs[0].errors[1] == first.runs[3].errors[1]
    assert len({run.errors[1] for run in first.runs}) == 4
    starts = []

    class Spy:
        def iterates(self, problem: object, start: np.ndarray, rng: np.random.Generator) -> object:
            starts.append(start)
            rng.standard_normal(5)
            yield START * 1e9, 8

    repeat(DIAGONAL, Spy(), 2)
    for seed in range(2):
        np.testing.assert_array_equal(starts[seed], normal_start(seed, 3))


def test_medians_over_runs_are_taken_error_by_error() -> None:
    runs = repeat(DIAGONAL, CompressedGradientDescent(Largest(1)), 5)
    errors = np.array([[0.1, 0.01], [1e-3, 1e-4]])
    table = runs.bytes_to_reach(errors)
    assert table.shape == (5, 2, 2)
    np.testing.assert_array_equal(runs.median_bytes(errors), np.median(table, axis=0))


def test_without_tqdm_a_long_run_is_only_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    runs = repeat(DIAGONAL, CompressedGradientDescent(Largest(3)), 2, progress=True)
    assert [run.outcome for run in runs.runs] == ["reached", "reached"]


def test_progress_is_for_terminals_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    repeat(DIAGONAL, CompressedGradientDescent(Largest(3)), 2)
    assert capfd.readouterr() == ("", "")


def test_bad_input_is_refused_by_name() -> None:
    gd = Largest(3)
    with pytest.raises(ValueError, match=r"start must have shape \(3,\), got \(2,\)"):
        descend(DIAGONAL, CompressedGradientDescent(gd), np.ones(2))
    with pytest.raises(ValueError, match="start must be finite, got inf"):
        descend(DIAGONAL, CompressedGradientDescent(gd), np.array([1, np.inf, 0]))
    with pytest.raises(ValueError, match="start is the minimiser itself"):
        descend(DIAGONAL, CompressedGradientDescent(gd), DIAGONAL.minimiser)
    with pytest.raises(ValueError, match="step must be positive and finite, got 0"):
        CompressedGradientDescent(gd, step=0)
    with pytest.raises(ValueError, match=r"got 0 and 0\.0001"):
        descend(DIAGONAL, CompressedGradientDescent(gd), START, rounds=0)
    with pytest.raises(ValueError, match="seeds must name at least one run"):
        repeat(DIAGONAL, CompressedGradientDescent(gd), 0)
