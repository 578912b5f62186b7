"""Error feedback loses nothing: what a message leaves out is in the memory."""

import numpy as np
import pytest
import torch

from paper_code import Identity, RandomDithering, SparseDithering, TopK
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


def test_bad_memories_and_compressors_that_grow_are_refused() -> None:
    with pytest.raises(ValueError, match=r"memory has shape \(3,\), but x has \(4,\)"):
        ErrorFeedback(TopK(1)).encode(np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match="error feedback needs less than 1"):
        ErrorFeedback(RandomDithering(levels=1)).encode(np.ones(400), None)
