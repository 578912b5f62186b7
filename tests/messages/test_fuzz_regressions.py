"""Hostile bytes: what fuzzing once found, and a few thousand inputs of its kind in every run."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))
import golden_frames
import targets

from paper_code import Message

GOLDEN = [Message.from_bytes(bytes.fromhex(kept["frame"])) for kept in golden_frames.load_all()]
FOUND = [
    "d56701170c000006 2c7e5b93643080",  # an exponent of 0 that is written all the same
]
TARGETS = [targets.raw, targets.repaired]
few = settings(max_examples=600, deadline=None, derandomize=True)


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found(found: str, target: Callable[[bytes], None]) -> None:
    target(bytes.fromhex(found))


@few
@given(st.binary(max_size=200), st.sampled_from(TARGETS))
def test_any_bytes(data: bytes, target: Callable[[bytes], None]) -> None:
    with np.errstate(all="raise"):
        target(data)


@few
@given(
    st.sampled_from(GOLDEN),
    st.binary(max_size=60),
    st.integers(0, 7),
    st.sampled_from([None, (1,), (2, 5), (12,), (10_001,)]),
    st.booleans(),
)
def test_any_payload_under_any_header(
    message: Message, payload: bytes, padding: int, shape: tuple[int, ...] | None, tail: bool
) -> None:
    """The payload is replaced, or added behind that of a golden frame, which gets another shape."""
    payload = message.payload + payload if tail else payload
    header = message.header if shape is None else dataclasses.replace(message.header, shape=shape)
    number = int.from_bytes(payload) >> padding << padding
    bits = max(0, 8 * len(payload) - padding)
    changed = Message(message.compressor, header, number.to_bytes(len(payload)), bits)
    with np.errstate(all="raise"):
        targets.raw(changed.to_bytes())


@few
@given(st.sampled_from(GOLDEN), st.binary(min_size=1, max_size=8), st.integers(0, 255))
def test_any_bytes_over_a_golden_frame(message: Message, patch: bytes, place: int) -> None:
    body = bytearray(message.to_bytes()[:-4])
    place %= len(body)
    body[place : place + len(patch)] = patch
    with np.errstate(all="raise"):
        targets.repaired(bytes(body))
