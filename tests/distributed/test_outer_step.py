"""Local steps and compressed outer steps over gloo: shared parameters, resumed runs, errors."""

import math
from pathlib import Path

import gloo
import gloo_work
import numpy as np
import pytest
import torch
from gloo_work import SCHEME, UNBIASED
from laws_cases import CASES

from paper_code import (
    Compressor,
    ConvolutionalCompression,
    EntropyCodedSparseDithering,
    Identity,
    RandomDithering,
    ScaledSign,
)
from paper_code.distributed import OuterStep
from paper_code.distributed.outer_step import step_size
from paper_code.evaluation.measure import distortion


@pytest.mark.parametrize("stages", [1, 2])
def test_all_share_the_same_parameters_and_learn(stages: int) -> None:
    scheme = EntropyCodedSparseDithering(0.9)
    outcomes = gloo.returned(gloo.run(gloo_work.train_outer, 2, 60, scheme, {"stages": stages}))
    shared = [states for states, _, _, _ in outcomes]
    assert shared[0] == shared[1]
    assert len(set(shared[0])) == 31  # as they were before the first outer step, and after each
    assert outcomes[0][1][-1] != outcomes[1][1][-1]  # each carries its own memory
    losses = np.mean([losses for _, _, losses, _ in outcomes], axis=0)
    assert losses[-10:].mean() < 0.8 * losses[:5].mean()
    d = len(shared[0][0]) // 4
    assert all(0 < sent < 30 * d * 4 / 10 for _, _, _, sent in outcomes)  # a tenth of float32


@pytest.mark.parametrize("compressor", [SCHEME, UNBIASED])
def test_without_carry_all_parameters_are_equal(compressor: Compressor) -> None:
    run = gloo.run(gloo_work.train_outer, 2, 6, compressor, {"carry": False})
    for shared, own, _, _ in gloo.returned(run):
        assert shared[1::2] == own[1::2]


def test_uncompressed_it_is_plain_averaging() -> None:
    ours = gloo.returned(gloo.run(gloo_work.train_outer, 2, 6, Identity(), {}))
    plain = gloo.returned(gloo.run(gloo_work.average_locally, 2, 6))
    own = np.frombuffer(ours[0][1][-1], np.float32)
    np.testing.assert_allclose(own, plain[0], rtol=0, atol=1e-6)  # a few roundings of float32


@pytest.mark.parametrize("stop", [3, 4])
def test_a_resumed_run_is_the_uninterrupted_one(stop: int, tmp_path: Path) -> None:
    """Stopped between two outer steps, and after one."""
    run = gloo.run(gloo_work.stop_and_resume_outer, 2, str(tmp_path), SCHEME, stop)
    for whole, resumed in gloo.returned(run):
        assert whole == resumed


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("nan", "ValueError: the change of 'middle.bias' is nan; every value must be finite"),
        ("damaged", "ValueError: damaged message from worker 0"),
        ("other start", r"began with other parameters than worker 0"),
    ],
)
def test_trouble_on_one_worker_is_an_error_on_all_that_changes_nothing(
    how: str, words: str
) -> None:
    outcomes = gloo.returned(gloo.run(gloo_work.fail_outer, 3, how, 1))
    assert all(unchanged and words in text for unchanged, text in outcomes)


def test_a_worker_that_ends_is_an_error_on_the_others() -> None:
    outcomes = gloo.run(gloo_work.fail_outer, 3, "killed", 1, timeout=10)
    kinds = [kind for kind, _ in outcomes]
    assert kinds == ["returned", "died", "returned"]
    assert all("another worker ended" in outcomes[i][1][1] for i in (0, 2))


@pytest.fixture
def alone(tmp_path: Path) -> None:
    meeting = f"file://{tmp_path / 'meeting'}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_alone_every_kind_of_parameter_is_kept(alone: None) -> None:
    """With one worker and no loss the outer step changes nothing; frozen ones are left out."""
    kinds = (torch.float32, torch.bfloat16, torch.complex64)
    model = torch.nn.ParameterList(torch.randn(5).to(kind) for kind in kinds)
    model.append(torch.nn.Parameter(torch.ones(2), requires_grad=False))
    outer = OuterStep(model.parameters(), Identity(), every=1)
    assert len(outer.x) == 5 + 5 + 10
    with torch.no_grad():
        for part in model:
            part += 0.25
    moved = [part.detach().clone() for part in model]
    assert outer.step()
    assert all(
        torch.allclose(part, other, atol=1e-6) for part, other in zip(model, moved, strict=True)
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "every is 0; allowed are whole numbers from 1 on"),
        ({"every": 2, "lr": 0}, "lr is 0; allowed are positive numbers and None"),
        ({"every": 2, "momentum": 1}, "momentum is 1; allowed are numbers from 0 to below 1"),
        ({"every": 2, "decay": -1}, "decay is -1; allowed are numbers from 0 to 1 and None"),
    ],
)
def test_settings_out_of_range_are_named(alone: None, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        OuterStep(torch.nn.Linear(2, 2).parameters(), SCHEME, **options)


def test_decay_and_step_size_follow_the_compressor_but_not_bounds_of_the_worst_vector(
    alone: None,
) -> None:
    part = torch.nn.Parameter(torch.ones(100))
    even, uneven = ConvolutionalCompression(0.9), EntropyCodedSparseDithering(0.9)
    chosen = [OuterStep([part], c, every=2) for c in (even, uneven)]
    assert [(outer.decay, outer.lr) for outer in chosen] == [
        (0.5, step_size(0.9, 0.5, stages=1, evenly_of=1)),
        (0.9, pytest.approx((1 - 0.9 * 0.9) / 0.1)),
    ]
    others = UNBIASED, Identity(), ScaledSign()
    assert [OuterStep([part], c, every=2).lr for c in others] == [1, 1, 1]


@pytest.mark.parametrize("alpha", [0.1, 0.6, 0.97])
@pytest.mark.parametrize("stages", [1, 2])
def test_a_step_adds_noise_of_half_the_change_at_most(alpha: float, stages: int) -> None:
    """Messages as the theory has them: (1 - alpha) v and noise, drawn for four workers."""
    rng, d, workers, decay = np.random.default_rng(0), 100_000, 4, 0.5

    def pass_on(v: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal(d) * np.sqrt(alpha * (1 - alpha) * np.mean(v**2))
        return (1 - alpha) * v + noise

    change = rng.standard_normal(d)
    mean = np.mean([pass_on(change) for _ in range(workers)], axis=0)
    step = step_size(alpha, decay, stages, workers) * (pass_on(mean) if stages == 2 else mean)
    now = step @ change / (change @ change)
    noise = np.linalg.norm(step - now * change) / np.linalg.norm(change)
    at_last = now / (1 - alpha * decay) ** stages
    # one is at its limit; sums of so many draws err by 1 / sqrt(d), a tenth of what is allowed
    assert max(at_last, 2 * noise) == pytest.approx(1, abs=0.03)


EVEN = [c for c in CASES if c.shrinks_evenly and not c.guarantee(1 << 16).is_unbiased]


@pytest.mark.parametrize("compressor", [*EVEN, ConvolutionalCompression(0.97)], ids=repr)
def test_rotated_messages_shrink_evenly_as_outer_steps_take_for_granted(
    compressor: Compressor,
) -> None:
    """Large coordinates of a sparse vector no less and no more than small ones."""
    rng = np.random.default_rng(0)
    v = (rng.standard_normal(1 << 16) * rng.choice([1, 30], 1 << 16, p=[0.99, 0.01])).astype("f4")
    held = compressor.encode(v, rng).decode()
    alpha = distortion(v, held)
    assert alpha == pytest.approx(compressor.guarantee(v.size).alpha, rel=0.03)
    for part in (np.abs(v) > 10, np.abs(v) < 3):
        energy = float(v[part] @ v[part])
        deviation = math.sqrt(alpha * (1 - alpha) * float(np.mean(v**2)) / energy)
        # four standard deviations: one false alarm in 16,000, were the seed not fixed
        assert float(held[part] @ v[part]) / energy == pytest.approx(1 - alpha, abs=4 * deviation)


def test_states_that_do_not_fit_are_refused_before_anything_changes(alone: None) -> None:
    outer = OuterStep(torch.nn.Linear(3, 2).parameters(), SCHEME, every=2)
    state = outer.state_dict()
    other = OuterStep(torch.nn.Linear(3, 3).parameters(), SCHEME, every=2).state_dict()
    for wrong, words in (
        ({}, "state holds nothing"),
        ({**state, "rank": torch.tensor(1)}, "state is of worker 1 of 1, but this is worker 0"),
        (other, "x of the state has 12 coordinates, but the parameters have 8 here"),
    ):
        with pytest.raises(ValueError, match=f"^{words}"):
            outer.load_state_dict(wrong)
    with pytest.raises(ValueError, match=r"^parameters hold none that requires"):
        OuterStep([], SCHEME, every=2)
    assert outer.steps == 0


def test_a_compressor_that_does_not_shrink_is_refused(alone: None) -> None:
    outer = OuterStep(
        torch.nn.Linear(8, 8).parameters(), RandomDithering(1), every=1, error_feedback=True
    )
    with pytest.raises(RuntimeError, match="error feedback needs less than 1"):
        outer.step()
