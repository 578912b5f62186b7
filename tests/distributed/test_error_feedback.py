"""Error feedback loses nothing, and several arrays travel as one stream."""

import numpy as np
import pytest
import torch

from paper_code import FormatError, Identity, RandomDithering, SparseDithering, TopK
from paper_code.distributed import frame_stream
from paper_code.distributed.error_feedback import ErrorFeedback

D = 50


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_was_sent_and_the_memory_add_up_to_what_was_given(dtype: type) -> None:
    rng = np.random.default_rng(0)
    feedback, memory = ErrorFeedback(SparseDithering(nu=0.5)), None
    given, sent = np.zeros(D), np.zeros(D)
    for _ in range(30):
        x = rng.standard_normal(D).astype(dtype)
        message, memory = feedback.encode(x, memory)
        assert message.header.dtype == np.dtype(dtype).name
        given += x
        sent += message.decode()
    # A float32 sum and a float32 difference of numbers below 8 a round, 2^-22 each at most.
    np.testing.assert_allclose(sent + memory, given, rtol=0, atol=30 * 2 * 2**-22)


def test_a_constant_is_sent_to_any_accuracy_and_without_feedback_it_is_not() -> None:
    x = np.random.default_rng(1).standard_normal(D)
    feedback, memory, total = ErrorFeedback(TopK(1)), None, np.zeros(D)
    for _ in range(1000):
        message, memory = feedback.encode(x, memory)
        total += message.decode()
    # ||memory||^2 <= 4 alpha / (1 - alpha)^2 max ||x||^2 (Karimireddy et al. 2019).
    alpha = 1 - 1 / D
    assert np.sum(memory**2) <= 4 * alpha / (1 - alpha) ** 2 * np.sum(x**2)
    assert np.linalg.norm(total / 1000 - x) <= 0.05 * np.linalg.norm(x)
    assert np.linalg.norm(TopK(1)(x) - x) >= 0.5 * np.linalg.norm(x)


def test_tensors_keep_their_kind_and_bfloat16_remembers_its_rounding() -> None:
    x = torch.tensor([1.0, 2.0**-9, 3.0], dtype=torch.bfloat16)
    message, memory = ErrorFeedback(Identity()).encode(x, np.full(3, 2.0**-10, np.float32))
    assert message.header.dtype == "bfloat16"
    np.testing.assert_array_equal(memory, np.float32([2.0**-10, 0, 2.0**-10]))


def test_bad_memories_and_compressors_that_grow_are_refused() -> None:
    with pytest.raises(ValueError, match=r"memory has shape \(3,\), but x has \(4,\)"):
        ErrorFeedback(TopK(1)).encode(np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match="error feedback needs less than 1"):
        ErrorFeedback(RandomDithering(levels=1)).encode(np.ones(400), None)


def model() -> dict[str, torch.Tensor]:
    return {
        "weight": torch.randn(20, 30, generator=torch.Generator().manual_seed(0)),
        "half": torch.ones(7, dtype=torch.bfloat16),
        "scale": torch.tensor(2.5, dtype=torch.float64),
        "batches": torch.tensor(12345678901),
        "mask": torch.tensor([True, False]),
        "nothing": torch.zeros(0, 3),
    }


def test_a_state_dict_returns_with_its_names_shapes_and_types() -> None:
    state = model()
    data = frame_stream.to_bytes(state, SparseDithering(nu=0.01))
    back = frame_stream.from_bytes(data, like=model())
    assert list(back) == list(state)
    for name, tensor in state.items():
        assert (back[name].dtype, back[name].shape) == (tensor.dtype, tensor.shape)
    for exact in ("batches", "mask", "nothing"):
        assert torch.equal(back[exact], state[exact])
    error = torch.sum((back["weight"] - state["weight"]) ** 2)
    assert 0 < error <= 0.01 * (1 + 1e-6) * torch.sum(state["weight"] ** 2)
    assert len(data) < 4 * 600  # smaller than the weight alone in float32


def test_a_list_returns_as_a_list() -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.array([1, -2], np.int32)]
    back = frame_stream.from_bytes(frame_stream.to_bytes(arrays, Identity()), like=arrays)
    assert isinstance(back, list)
    for ours, theirs in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_streams_that_do_not_fit_are_refused_and_arrays_are_named() -> None:
    arrays = {"a": np.ones(3), "b": np.ones(4)}
    data = frame_stream.to_bytes(arrays, Identity())
    with pytest.raises(FormatError, match="the stream ends before array 'c'"):
        frame_stream.from_bytes(data, like={**arrays, "c": np.ones(1)})
    with pytest.raises(FormatError, match="goes on after the 1 arrays"):
        frame_stream.from_bytes(data, like={"a": arrays["a"]})
    with pytest.raises(FormatError, match=r"array 'a' is \(\(4,\), 'float64'\), but \(\(3,\)"):
        frame_stream.from_bytes(data, like={"a": arrays["b"], "b": arrays["a"]})
    with pytest.raises(FormatError, match="after 1 whole frames"):
        frame_stream.from_bytes(data[:-1], like=arrays)
    with pytest.raises(ValueError, match=r"array 'b': x\[1\] .* is nan"):
        frame_stream.to_bytes({"a": np.ones(2), "b": np.array([1, np.nan])}, Identity())
    with pytest.raises(ValueError, match=r"array 0: it holds integers beyond 2\^53"):
        frame_stream.to_bytes([np.array([2**60])], Identity())


def test_single_numbers_may_follow_each_other() -> None:
    for x in (np.float32(2), torch.tensor(2.0), torch.tensor(2.0, dtype=torch.bfloat16)):
        feedback, memory = ErrorFeedback(SparseDithering(0.3)), None
        for _ in range(3):
            message, memory = feedback.encode(x, memory)
            assert message.decode().shape == memory.shape == ()


def test_a_memory_may_come_from_a_checkpoint_of_tensors() -> None:
    x, memory = np.ones(3, np.float32), np.full(3, 0.5, np.float32)
    feedback = ErrorFeedback(TopK(1))
    ours, theirs = feedback.encode(x, memory), feedback.encode(x, torch.from_numpy(memory))
    assert ours[0] == theirs[0]
    assert np.array_equal(ours[1], theirs[1])


def test_what_is_no_array_has_no_place_in_a_bundle() -> None:
    for odd in ([1.0, 2.0], 3.0, None):
        with pytest.raises(TypeError, match=r"array 'w' is .*; allowed are NumPy arrays and"):
            frame_stream.to_bytes({"w": odd}, Identity())
    swapped = np.array([1.5, 2.5], ">f4")
    (back,) = frame_stream.from_bytes(frame_stream.to_bytes([swapped], Identity()), like=[swapped])
    assert np.array_equal(back, swapped)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_integers_that_float64_cannot_hold_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=r"array 'steps': it holds integers beyond 2\^53"):
        frame_stream.to_bytes({"steps": np.array([1, value])}, Identity())


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8, np.bool_, torch.int16, torch.bool])
def test_integers_at_the_ends_of_their_type_travel(kind: type | torch.dtype) -> None:
    tensor = isinstance(kind, torch.dtype)
    name = str(kind).removeprefix("torch.") if tensor else kind
    ends = np.iinfo(name) if np.dtype(name).kind != "b" else None
    low, high = (max(ends.min, -(2**53)), min(ends.max, 2**53)) if ends else (0, 1)
    sent = np.array([low, 1, high]).astype(name)
    sent = torch.from_numpy(sent) if tensor else sent
    (back,) = frame_stream.from_bytes(frame_stream.to_bytes([sent], Identity()), like=[sent])
    assert back.dtype == sent.dtype
    assert bool((back == sent).all())


@pytest.mark.parametrize(
    ("kind", "came"), [(np.int64, 0.5), (np.int64, 1e300), (np.uint8, -1), (np.bool_, 2)]
)
def test_numbers_that_an_integer_cannot_hold_are_refused(kind: type, came: float) -> None:
    data = frame_stream.to_bytes([np.array([1.0, came])], Identity())
    with pytest.raises(FormatError, match=r"array 0 is of .*, which cannot hold the values"):
        frame_stream.from_bytes(data, like=[np.zeros(2, kind)])
