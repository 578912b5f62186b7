"""Several arrays travel as one stream and come back in their kind."""

import numpy as np
import pytest
import torch

from paper_code import FormatError, Identity, SparseDithering
from paper_code.distributed import array_stream


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
    data = array_stream.to_bytes(state, SparseDithering(nu=0.01))
    back = array_stream.from_bytes(data, like=model())
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
    back = array_stream.from_bytes(array_stream.to_bytes(arrays, Identity()), like=arrays)
    assert isinstance(back, list)
    for ours, theirs in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_streams_that_do_not_fit_are_refused_and_arrays_are_named() -> None:
    arrays = {"a": np.ones(3), "b": np.ones(4)}
    data = array_stream.to_bytes(arrays, Identity())
    with pytest.raises(FormatError, match="the stream ends before array 'c'"):
        array_stream.from_bytes(data, like={**arrays, "c": np.ones(1)})
    with pytest.raises(FormatError, match="goes on after the 1 arrays"):
        array_stream.from_bytes(data, like={"a": arrays["a"]})
    with pytest.raises(FormatError, match=r"array 'a' is \(\(4,\), 'float64'\), but \(\(3,\)"):
        array_stream.from_bytes(data, like={"a": arrays["b"], "b": arrays["a"]})
    with pytest.raises(FormatError, match="after 1 whole frames"):
        array_stream.from_bytes(data[:-1], like=arrays)
    with pytest.raises(ValueError, match=r"array 'b': x\[1\] .* is nan"):
        array_stream.to_bytes({"a": np.ones(2), "b": np.array([1, np.nan])}, Identity())
    with pytest.raises(ValueError, match=r"array 0: it holds integers beyond 2\^53"):
        array_stream.to_bytes([np.array([2**60])], Identity())


def test_what_is_no_array_has_no_place_in_a_bundle() -> None:
    for odd in ([1.0, 2.0], 3.0, None):
        with pytest.raises(TypeError, match=r"array 'w' is .*; allowed are NumPy arrays and"):
            array_stream.to_bytes({"w": odd}, Identity())
    swapped = np.array([1.5, 2.5], ">f4")
    (back,) = array_stream.from_bytes(array_stream.to_bytes([swapped], Identity()), like=[swapped])
    assert np.array_equal(back, swapped)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_integers_that_float64_cannot_hold_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=r"array 'steps': it holds integers beyond 2\^53"):
        array_stream.to_bytes({"steps": np.array([1, value])}, Identity())


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8, np.bool_, torch.int16, torch.bool])
def test_integers_at_the_ends_of_their_type_travel(kind: type | torch.dtype) -> None:
    tensor = isinstance(kind, torch.dtype)
    name = str(kind).removeprefix("torch.") if tensor else kind
    ends = np.iinfo(name) if np.dtype(name).kind != "b" else None
    low, high = (max(ends.min, -(2**53)), min(ends.max, 2**53)) if ends else (0, 1)
    sent = np.array([low, 1, high]).astype(name)
    sent = torch.from_numpy(sent) if tensor else sent
    (back,) = array_stream.from_bytes(array_stream.to_bytes([sent], Identity()), like=[sent])
    assert back.dtype == sent.dtype
    assert bool((back == sent).all())


@pytest.mark.parametrize(
    ("kind", "came"), [(np.int64, 0.5), (np.int64, 1e300), (np.uint8, -1), (np.bool_, 2)]
)
def test_numbers_that_an_integer_cannot_hold_are_refused(kind: type, came: float) -> None:
    data = array_stream.to_bytes([np.array([1.0, came])], Identity())
    with pytest.raises(FormatError, match=r"array 0 is of .*, which cannot hold the values"):
        array_stream.from_bytes(data, like=[np.zeros(2, kind)])
