"""DistributedDataParallel over gloo: equal replicas, resumed runs, clear errors."""

from functools import partial
from pathlib import Path

import gloo
import gloo_work
import numpy as np
import pytest
import torch
from gloo_work import SCHEME, UNBIASED

from paper_code import Compressor, Identity, RandomDithering
from paper_code.distributed import hook


@pytest.mark.parametrize(
    ("n", "compressor", "stages"),
    [(1, SCHEME, None), (2, SCHEME, None), (4, SCHEME, None), (3, UNBIASED, None), (3, SCHEME, 1)],
)
def test_replicas_are_equal_after_every_step_and_learn(
    n: int, compressor: Compressor, stages: int | None
) -> None:
    outcomes = gloo.returned(gloo.run(gloo_work.train, n, 25, compressor, 0.01, {"stages": stages}))
    states = [states for states, _ in outcomes]
    assert all(other == states[0] for other in states)
    assert len(set(states[0])) == 25
    losses = np.mean([losses for _, losses in outcomes], axis=0)
    assert losses[-5:].mean() < 0.8 * losses[:5].mean()


@pytest.mark.parametrize("stages", [1, 2])
def test_uncompressed_it_is_plain_averaging(stages: int) -> None:
    ours = gloo.returned(gloo.run(gloo_work.train, 3, 5, Identity(), 0.01, {"stages": stages}))
    plain = gloo.returned(gloo.run(gloo_work.train, 3, 5, None, 0.01, {}))
    ends = [np.frombuffer(states[-1]) for states, _ in (ours[0], plain[0])]
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-6)  # sums of float32 in another order


def test_unused_parameters_and_gathered_gradients_are_averaged_too() -> None:
    ours = gloo.returned(gloo.run(gloo_work.train_with_unused, 3, True))
    plain = gloo.returned(gloo.run(gloo_work.train_with_unused, 3, False))
    assert ours[0] == ours[1] == ours[2]
    ends = [np.frombuffer(end, np.float32) for end in (ours[0], plain[0])]
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-6)


@pytest.mark.parametrize("compressor", [SCHEME, UNBIASED])
def test_the_size_of_the_buckets_changes_nothing(compressor: Compressor) -> None:
    runs = [
        gloo.returned(gloo.run(gloo_work.train, 3, 4, compressor, cap, {}))[0][0]
        for cap in (0.001, 25)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_gradients_that_lie_in_one_piece_are_averaged_as_their_copy_is(workers: int) -> None:
    train = partial(gloo.run, gloo_work.train_a_row, workers)
    runs = [gloo.returned(train(copied)) for copied in (True, False)]
    assert runs[0] == runs[1]
    assert all(in_one_piece for _, in_one_piece in runs[1])


@pytest.mark.parametrize("compressor", [SCHEME, UNBIASED])
def test_a_resumed_run_is_the_uninterrupted_one(compressor: Compressor, tmp_path: Path) -> None:
    ends = gloo.returned(gloo.run(gloo_work.stop_and_resume, 3, str(tmp_path), compressor))
    assert {end for three in ends for end in three} == {ends[0][0]}


def test_the_state_is_plain_tensors_by_parameter() -> None:
    d = 16 * 60 + 60 + 60 * 60 + 60 + 4 * 60 + 4
    for rank, state in enumerate(gloo.returned(gloo.run(gloo_work.names_in_state, 2))):
        assert state == {
            **dict.fromkeys(("step", "rank", "workers"), ()),
            **{"memory.first.weight": (60, 16), "memory.first.bias": (60,)},
            **{"memory.middle.weight": (60, 60), "memory.middle.bias": (60,)},
            **{"memory.last.weight": (4, 60), "memory.last.bias": (4,)},
            "result_memory": ((d * (rank + 1)) // 2 - d * rank // 2,),
        }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_element_types(dtype: torch.dtype) -> None:
    outcomes = gloo.returned(gloo.run(gloo_work.train_in, 2, dtype, "cpu"))
    assert outcomes[0][0] == outcomes[1][0]
    assert outcomes[0][1] < 1.4  # log 4 = 1.386 is a guess among four classes; it began above


def test_complex_gradients_are_averaged_whole() -> None:
    """On worker r the gradient of sum |x w|^2 is 2 (r + 1)^2 w; its mean over two is 5 w."""
    for weight, gradient in gloo.returned(gloo.run(gloo_work.complex_gradients, 2)):
        np.testing.assert_allclose(gradient, 5 * weight, rtol=1e-6)  # a few roundings of 2^-24


def test_a_group_is_averaged_while_the_backward_pass_goes_on() -> None:
    """The backward pass of the first layer waits until gradients of the last have been sent."""
    assert gloo.returned(gloo.run(gloo_work.wait_in_backward, 2)) == [True, True]


def test_a_group_is_packed_while_another_waits_for_the_network() -> None:
    assert gloo.returned(gloo.run(gloo_work.pack_while_another_waits, 2)) == [True, True]


def test_how_many_groups_are_in_flight_changes_nothing() -> None:
    runs = [
        gloo.returned(
            gloo.run(gloo_work.train, 3, 4, SCHEME, 0.01, {"group_size": 500, "in_flight": count})
        )
        for count in (1, 3)
    ]
    assert runs[0] == runs[1]


def test_a_worker_alone_names_what_is_not_finite() -> None:
    found = gloo.words(gloo.run(gloo_work.fail, 1, "nan", 0), seconds=15)
    error = "ValueError: the gradient of 'first.bias' is nan; every value must be finite"
    assert found == {f"WorkerError: worker 0: {error}"}


@pytest.mark.parametrize("group_size", [1 << 20, 500])
def test_a_nan_on_one_worker_is_the_same_error_on_all(group_size: int) -> None:
    found = gloo.words(gloo.run(gloo_work.fail, 4, "nan", 2, group_size), seconds=15)
    if group_size == 500:  # which of its gradients comes first is the order of the groups
        assert len(found) == 1
        assert found.pop().endswith(" is nan; every value must be finite")
        return
    error = "ValueError: the gradient of 'first.bias' is nan; every value must be finite"
    assert found == {f"WorkerError: worker 2: {error}"}


@pytest.mark.parametrize("stage", [1, 2])
def test_a_damaged_frame_is_the_same_error_on_all(stage: int) -> None:
    found = gloo.words(gloo.run(gloo_work.fail, 4, f"damaged {stage}", 3), seconds=15)
    assert len(found) == 1
    start = "WorkerError: worker 3: ValueError: damaged message from worker 0: "
    assert found.pop().startswith(start + "after 0 whole frames: ")


def test_an_error_in_the_last_group_leaves_the_state_as_it_was() -> None:
    for groups, state_is_the_same, text in gloo.returned(
        gloo.run(gloo_work.damage_the_last_group, 3)
    ):
        assert groups > 2
        assert text.startswith("worker 1: ValueError: damaged message from worker 0: ")
        assert state_is_the_same


def test_what_cannot_work_is_refused_on_every_worker() -> None:
    grows = gloo.words(gloo.run(gloo_work.refuse, 2, RandomDithering(levels=1), None), seconds=15)
    assert len(grows) == 1 and "error feedback needs less than 1" in grows.pop()
    wrong = gloo.words(gloo.run(gloo_work.refuse, 2, SCHEME, "model"), seconds=15)
    assert wrong == {
        "TypeError: the hook was registered with 'model'; it needs the module: "
        "ddp.register_comm_hook(ddp.module, hook)"
    }


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("two models", "ValueError: the hook is used for two modules; make one hook for each"),
        (
            "another module",
            "ValueError: a parameter of shape (60, 60) is none of the module that the hook was "
            "registered with: ddp.register_comm_hook(ddp.module, hook)",
        ),
        (
            "empty state",
            "ValueError: state has no rank, step, workers; allowed is what a hook's state_dict() "
            "returned",
        ),
        (
            "unfrozen",
            "ValueError: the averaged parameters have changed since the first step: middle.bias, "
            "middle.weight. After freezing or unfreezing, wrap the module in "
            "DistributedDataParallel again, with a new hook",
        ),
        (
            "state of frozen",
            "WorkerError: worker 0: ValueError: state does not fit the model and the hook: "
            "memory.middle.bias, memory.middle.weight, result_memory differ in shape, or are in "
            "one of them only. Make both as they were when it was saved, or do not load it: error "
            "feedback then begins anew",
        ),
    ],
)
def test_misuse_is_refused_with_advice(how: str, error: str) -> None:
    assert gloo.words(gloo.run(gloo_work.misuse, 1, how), seconds=15) == {error}


def test_two_models_are_refused_on_every_worker() -> None:
    found = gloo.words(gloo.run(gloo_work.misuse, 2, "two models"), seconds=15)
    assert found == {"ValueError: the hook is used for two modules; make one hook for each"}


@pytest.mark.parametrize("name", ["group_size", "in_flight"])
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; allowed are whole numbers from 1 on"):
        hook(SCHEME, **{name: 0})
