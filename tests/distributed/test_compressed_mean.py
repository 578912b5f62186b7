"""The mean over real processes: its bytes, its error, its memories."""

import gloo
import gloo_work
import numpy as np
import pytest
from gloo_work import SCHEME, UNBIASED

from paper_code import Compressor, Identity, TopK
from paper_code.distributed import CompressedMean, Exchange


@pytest.mark.parametrize("n", [2, 4, 8])
def test_two_stages_send_2_n_minus_1_over_n_messages(n: int) -> None:
    d = 300_000
    outcomes = gloo.returned(gloo.run(gloo_work.average, n, SCHEME, d, 2, 2, False))
    x = np.random.default_rng(0).standard_normal(d).astype(np.float32)
    message = len(SCHEME.encode(x).to_bytes())
    for outcome in outcomes:
        assert abs(outcome["sent"] / (2 * (n - 1) / n * message) - 1) <= 0.05
    # What was counted where it was sent is what came in elsewhere.
    assert sum(o["sent"] for o in outcomes) == sum(o["arrived"] for o in outcomes)


@pytest.mark.parametrize(("n", "d", "stages"), [(1, 50, 2), (3, 1000, 1), (3, 1000, 2), (4, 3, 2)])
def test_error_feedback_loses_nothing(n: int, d: int, stages: int) -> None:
    rounds = 10
    outcomes = gloo.returned(gloo.run(gloo_work.average, n, TopK(1), d, rounds, stages, True))
    given = np.mean([o["given"] for o in outcomes], axis=0)
    behind = np.mean([o["memory"].own for o in outcomes], axis=0)
    if stages == 2:
        behind = behind + np.concatenate([o["memory"].result for o in outcomes])
    means = outcomes[0]["means"]
    # float32 sums: 2^-22 for numbers below 8, a few times a round
    np.testing.assert_allclose(means + behind, given, rtol=0, atol=6 * rounds * 2**-22)
    assert n * d < 100 or np.linalg.norm(means) < 0.5 * np.linalg.norm(given)


def test_unbiased_messages_in_one_stage_average_their_errors_out() -> None:
    n, d = 4, 4000
    outcomes = gloo.returned(gloo.run(gloo_work.average, n, UNBIASED, d, 1, 1, False))
    given = np.mean([o["given"] for o in outcomes], axis=0)
    error = np.sum((outcomes[0]["means"] - given) ** 2)
    # The error of each is at most omega ||x_i||^2 = d / 4; the sum over 4000 coordinates is within
    # 10 % of its mean except with probability below 1e-6.
    assert error <= 1.1 * 0.25 / n**2 * sum(np.sum(o["given"] ** 2) for o in outcomes)
    assert error > 0


@pytest.mark.parametrize("feedback", [True, False])
@pytest.mark.parametrize(("n", "stages"), [(1, 1), (1, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("compressor", [Identity(), SCHEME])
def test_only_what_others_send_is_decoded_and_only_what_they_get_is_framed(
    compressor: Compressor, n: int, stages: int, feedback: bool
) -> None:
    frames = {1: 1, 2: n - 1 + 1}[stages] if n > 1 else 0  # the second stage's is one for all
    outcomes = gloo.run(gloo_work.count_frames, n, compressor, stages, feedback)
    assert gloo.returned(outcomes) == [(frames, stages * (n - 1))] * n


@pytest.mark.parametrize("kind", ["int64", "tensor"])
def test_vectors_of_another_kind_are_refused_on_every_worker(kind: str) -> None:
    (text,) = gloo.words(gloo.run(gloo_work.average_of, 2, kind), 5.0)
    assert text.startswith("WorkerError: worker 0: TypeError: x is ")


@pytest.mark.parametrize("stages", [1, 2])
def test_an_error_on_one_worker_leaves_every_memory_as_it_was(stages: int) -> None:
    """Worker 1 gets a damaged frame in the last round; worker 0 then has all that it needs."""
    for same, text in gloo.returned(gloo.run(gloo_work.average_with_damage, 3, stages)):
        assert text.startswith("worker 1: ValueError: damaged message from worker 0: ")
        assert same


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="stages is 3; allowed are 1, 2 and None"):
        CompressedMean(SCHEME, Exchange(), stages=3)
    with pytest.raises(ValueError, match="threads is 0; allowed are whole numbers from 1 on"):
        CompressedMean(SCHEME, Exchange(), threads=0)
