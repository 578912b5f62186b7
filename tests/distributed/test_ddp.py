"""Real processes over gloo: equal replicas, counted bytes, and errors that all of them hear."""

from pathlib import Path
from typing import Any

import gloo
import gloo_work
import numpy as np
import pytest
import torch
from gloo_work import SCHEME, UNBIASED

from paper_code import Compressor, Identity, RandomDithering, TopK
from paper_code.distributed.collectives import Exchange
from paper_code.distributed.compressed_mean import CompressedMean
from paper_code.distributed.vectors import PIECE, pieces


def returned(outcomes: list[gloo.Outcome]) -> list[Any]:
    assert {kind for kind, _ in outcomes} == {"returned"}, outcomes
    return [value for _, value in outcomes]


def words(outcomes: list[gloo.Outcome], seconds: float) -> set[str]:
    """What was raised, in less than ``seconds``, on every worker that still lived."""
    raised = [value for kind, value in outcomes if kind == "raised"]
    assert len(raised) == len(outcomes) - sum(kind == "died" for kind, _ in outcomes), outcomes
    assert max(after for _, after in raised) < seconds
    return {text for text, _ in raised}


@pytest.mark.parametrize(
    ("n", "compressor", "stages"),
    [(1, SCHEME, None), (2, SCHEME, None), (4, SCHEME, None), (3, UNBIASED, None), (3, SCHEME, 1)],
)
def test_replicas_are_equal_after_every_step_and_learn(
    n: int, compressor: Compressor, stages: int | None
) -> None:
    outcomes = returned(gloo.run(gloo_work.train, n, 25, compressor, 0.01, {"stages": stages}))
    states = [states for states, _ in outcomes]
    assert all(other == states[0] for other in states)
    assert len(set(states[0])) == 25
    losses = np.mean([losses for _, losses in outcomes], axis=0)
    assert losses[-5:].mean() < 0.8 * losses[:5].mean()


@pytest.mark.parametrize("stages", [1, 2])
def test_uncompressed_it_is_plain_averaging(stages: int) -> None:
    ours = returned(gloo.run(gloo_work.train, 3, 5, Identity(), 0.01, {"stages": stages}))
    plain = returned(gloo.run(gloo_work.train, 3, 5, None, 0.01, {}))
    ends = [np.frombuffer(states[-1]) for states, _ in (ours[0], plain[0])]
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-6)  # sums of float32 in another order


def test_unused_parameters_and_gathered_gradients_are_averaged_too() -> None:
    ours = returned(gloo.run(gloo_work.train_with_unused, 3, True))
    plain = returned(gloo.run(gloo_work.train_with_unused, 3, False))
    assert ours[0] == ours[1] == ours[2]
    ends = [np.frombuffer(end, np.float32) for end in (ours[0], plain[0])]
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-6)


@pytest.mark.parametrize("compressor", [SCHEME, UNBIASED])
def test_the_size_of_the_buckets_changes_nothing(compressor: Compressor) -> None:
    runs = [
        returned(gloo.run(gloo_work.train, 3, 4, compressor, cap, {}))[0][0] for cap in (0.001, 25)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("compressor", [SCHEME, UNBIASED])
def test_a_resumed_run_is_the_uninterrupted_one(compressor: Compressor, tmp_path: Path) -> None:
    ends = returned(gloo.run(gloo_work.stop_and_resume, 3, str(tmp_path), compressor))
    assert {end for three in ends for end in three} == {ends[0][0]}


def test_the_state_is_plain_tensors_by_parameter() -> None:
    d = 16 * 60 + 60 + 60 * 60 + 60 + 4 * 60 + 4
    for rank, state in enumerate(returned(gloo.run(gloo_work.names_in_state, 2))):
        assert state == {
            **dict.fromkeys(("step", "rank", "workers"), ()),
            **{"memory.first.weight": (60, 16), "memory.first.bias": (60,)},
            **{"memory.middle.weight": (60, 60), "memory.middle.bias": (60,)},
            **{"memory.last.weight": (4, 60), "memory.last.bias": (4,)},
            "result_memory": ((d * (rank + 1)) // 2 - d * rank // 2,),
        }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_element_types(dtype: torch.dtype) -> None:
    outcomes = returned(gloo.run(gloo_work.train_in, 2, dtype, "cpu"))
    assert outcomes[0][0] == outcomes[1][0]
    assert outcomes[0][1] < 1.4  # log 4 = 1.386 is a guess among four classes; it began above


@pytest.mark.parametrize("kind", ["int64", "tensor"])
def test_vectors_of_another_kind_are_refused_on_every_worker(kind: str) -> None:
    (text,) = words(gloo.run(gloo_work.average_of, 2, kind), 5.0)
    assert text.startswith("WorkerError: worker 0: TypeError: x is ")


def test_no_message_is_much_shorter_than_the_others() -> None:
    """Top-k of a vector a little longer than one message must find its k in each."""
    x = np.arange(PIECE + 5)
    assert [len(part) for part in pieces(x)] == [(PIECE + 5) // 2, (PIECE + 6) // 2]
    assert np.array_equal(np.concatenate(pieces(x)), x)
    assert [len(part) for part in pieces(x[:PIECE])] == [PIECE]
    assert pieces(x[:0]) == []


@pytest.mark.parametrize("n", [2, 4, 8])
def test_two_stages_send_2_n_minus_1_over_n_messages(n: int) -> None:
    d = 300_000
    outcomes = returned(gloo.run(gloo_work.average, n, SCHEME, d, 2, 2, False))
    x = np.random.default_rng(0).standard_normal(d).astype(np.float32)
    message = len(SCHEME.encode(x).to_bytes())
    for outcome in outcomes:
        assert abs(outcome["sent"] / (2 * (n - 1) / n * message) - 1) <= 0.05
    # What was counted where it was sent is what came in elsewhere.
    assert sum(o["sent"] for o in outcomes) == sum(o["arrived"] for o in outcomes)


@pytest.mark.parametrize(("n", "d", "stages"), [(1, 50, 2), (3, 1000, 1), (3, 1000, 2), (4, 3, 2)])
def test_error_feedback_loses_nothing(n: int, d: int, stages: int) -> None:
    rounds = 10
    outcomes = returned(gloo.run(gloo_work.average, n, TopK(1), d, rounds, stages, True))
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
    outcomes = returned(gloo.run(gloo_work.average, n, UNBIASED, d, 1, 1, False))
    given = np.mean([o["given"] for o in outcomes], axis=0)
    error = np.sum((outcomes[0]["means"] - given) ** 2)
    # The error of each is at most omega ||x_i||^2 = d / 4; the sum over 4000 coordinates is within
    # 10 % of its mean except with probability below 1e-6.
    assert error <= 1.1 * 0.25 / n**2 * sum(np.sum(o["given"] ** 2) for o in outcomes)
    assert error > 0


def test_a_nan_on_one_worker_is_the_same_error_on_all() -> None:
    found = words(gloo.run(gloo_work.fail, 4, "nan", 2), seconds=15)
    error = "ValueError: the gradient of 'first.bias' is nan; every value must be finite"
    assert found == {f"WorkerError: worker 2: {error}"}


@pytest.mark.parametrize("stage", [1, 2])
def test_a_damaged_frame_is_the_same_error_on_all(stage: int) -> None:
    found = words(gloo.run(gloo_work.fail, 4, f"damaged {stage}", 3), seconds=15)
    assert len(found) == 1
    start = "WorkerError: worker 3: ValueError: damaged message from worker 0: "
    assert found.pop().startswith(start + "after 0 whole frames: ")


def test_a_killed_worker_is_an_error_on_the_others() -> None:
    outcomes = gloo.run(gloo_work.fail, 4, "killed", 1)
    assert outcomes[1] == ("died", 9)
    for text in words(outcomes, seconds=gloo.TIMEOUT):
        assert "of 4: the exchange failed: another worker ended, or did not answer" in text


def test_a_silent_worker_is_an_error_when_the_timeout_has_passed() -> None:
    outcomes = gloo.run(gloo_work.fail, 2, "silent", 0, timeout=2)
    assert all(kind == "raised" for kind, _ in outcomes)
    assert "did not answer within the timeout" in outcomes[1][1][0]
    assert 1.5 < outcomes[1][1][1] < 6


def test_what_cannot_work_is_refused_on_every_worker() -> None:
    grows = words(gloo.run(gloo_work.refuse, 2, RandomDithering(levels=1), None), seconds=15)
    assert len(grows) == 1 and "error feedback needs less than 1" in grows.pop()
    wrong = words(gloo.run(gloo_work.refuse, 2, SCHEME, "model"), seconds=15)
    assert wrong == {
        "TypeError: the hook was registered with 'model'; it needs the module: "
        "ddp.register_comm_hook(ddp.module, hook)"
    }
    with pytest.raises(ValueError, match="stages is 3; allowed are 1, 2 and None"):
        CompressedMean(SCHEME, Exchange(), stages=3)
