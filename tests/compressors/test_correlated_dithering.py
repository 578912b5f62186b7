"""Correlated dithers: the mean of n workers, from equal to unrelated vectors."""

import math

import numpy as np
import pytest

from paper_code import CorrelatedDithering, SubtractiveDithering, decode
from paper_code.messages.message import Header

OMEGA = 0.25


def correlated(n: int) -> list[CorrelatedDithering]:
    return [CorrelatedDithering(OMEGA, n, i) for i in range(n)]


def errors_of_means(xs: np.ndarray, runs: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Squared errors of the mean for correlated and independent dithers; bits of both."""
    n, rng = len(xs), np.random.default_rng(7)
    errors, bits = np.zeros((2, runs)), np.zeros(2)
    for run in range(runs):
        for kind in range(2):
            messages = [
                c.encode(x, np.random.default_rng([8, run]))
                if kind == 0
                else SubtractiveDithering(OMEGA).encode(x, rng)
                for c, x in zip(correlated(n), xs, strict=True)
            ]
            held = np.mean([message.decode() for message in messages], axis=0)
            errors[kind, run] = np.sum((held - xs.mean(axis=0)) ** 2)
            bits[kind] += sum(message.bits for message in messages) / n / runs
    return errors[0], errors[1], bits[0], bits[1]


def test_dithers_of_all_workers_are_a_grid() -> None:
    header = Header((1000,), "float64", nonce=5)
    n = 16
    raw = [np.concatenate([part for _, part in c._dither(header)]) for c in correlated(n)]
    ordered = np.sort(np.array(raw) % np.uint32(2**32 // n), axis=0)
    assert np.all(ordered == ordered[0])  # the same place in every stratum
    assert np.all(np.arange(n) == np.sort(np.array(raw) // np.uint32(2**32 // n), axis=0).T)
    assert len(np.unique(np.array(raw)[3] // np.uint32(2**32 // n))) == n  # of one worker too


def test_equal_vectors_gain_n_at_the_same_bits() -> None:
    """16 times less, 7.5 at least; relative errors of the means are a few per cent."""
    x = np.random.default_rng(0).standard_normal(500)
    mine, independent, my_bits, bits = errors_of_means(np.tile(x, (16, 1)), 12)
    assert independent.mean() / mine.mean() >= 7.5
    assert independent.mean() / mine.mean() == pytest.approx(16, rel=0.15)
    assert my_bits == pytest.approx(bits, rel=0.01)
    assert independent.mean() == pytest.approx(OMEGA * np.sum(x**2) / 16, rel=0.15)


@pytest.mark.parametrize("n", [2, 16])
def test_unrelated_vectors_lose_nothing(n: int) -> None:
    """Not above independent dithers by more than 4 standard errors: a false alarm of 3e-5."""
    xs = np.random.default_rng(1).standard_normal((n, 500))
    mine, independent, *_ = errors_of_means(xs, 20)
    chance = math.hypot(mine.std(), independent.std()) / math.sqrt(20)
    assert mine.mean() <= independent.mean() + 4 * chance


def test_any_two_workers_that_agree_gain() -> None:
    """A permutation, not only a shift: neighbours in number do not get neighbouring dithers."""
    x = np.random.default_rng(2).standard_normal(2000)
    pair = [c(x, np.random.default_rng(3)) for c in correlated(16)[:2]]
    assert np.sum((pair[0] - x) * (pair[1] - x)) < 0


def test_a_frame_names_its_worker() -> None:
    x, rng = np.arange(5.0), np.random.default_rng
    frames = [c.encode(x, rng(4)).to_bytes() for c in correlated(3)]
    held = [decode(frame) for frame in frames]
    assert not np.array_equal(held[0], held[1])
    assert np.array_equal(held[2], correlated(3)[2](x, rng(4)))


@pytest.mark.parametrize(("workers", "worker"), [(0, 0), (3, 3), (3, -1), (1 << 13, 0)])
def test_settings(workers: int, worker: int) -> None:
    with pytest.raises(ValueError, match=r"workers? is"):
        CorrelatedDithering(OMEGA, workers, worker)
