"""Golden frames decode for ever, and no damage to one goes unnoticed."""

import zlib
from typing import Any

import golden_frames
import numpy as np
import pytest

from paper_code import FormatError, Message, decode
from paper_code.messages.settings import registered

KEPT = list(golden_frames.load_all())
each_golden_frame = pytest.mark.parametrize(
    "kept", KEPT, ids=lambda k: f"{k['compressor']} {k['input']}"
)


def test_every_compressor_has_golden_frames_that_it_still_writes() -> None:
    """If this fails: python tests/golden_frames.py"""
    pytest.importorskip("torch")
    assert [f"{new['compressor']}, {new['input']}" for _, new in golden_frames.missing()] == []


def test_every_identifier_of_the_library_has_golden_frames() -> None:
    library = {number for number in registered() if number < 128}
    frames = (Message.from_bytes(bytes.fromhex(kept["frame"])) for kept in KEPT)
    assert library == {frame.compressor.wire_id for frame in frames}


@each_golden_frame
def test_it_decodes_to_what_it_always_did(kept: dict[str, Any]) -> None:
    assert golden_frames.differs(kept) is None
    frame = bytes.fromhex(kept["frame"])
    assert Message.from_bytes(frame).to_bytes() == frame
    assert repr(Message.from_bytes(frame).compressor) == kept["compressor"]


@each_golden_frame
def test_every_flipped_bit_is_refused(kept: dict[str, Any]) -> None:
    for damaged in flipped(bytes.fromhex(kept["frame"])):
        with pytest.raises(FormatError):
            decode(damaged)


@each_golden_frame
def test_a_flipped_bit_under_a_repaired_crc_decodes_to_finite_numbers_or_is_refused(
    kept: dict[str, Any],
) -> None:
    with np.errstate(all="raise"):
        for damaged in flipped(bytes.fromhex(kept["frame"])[:-4]):
            frame = damaged + zlib.crc32(damaged).to_bytes(4, "little")
            try:
                message = Message.from_bytes(frame, max_dim=1 << 20)
                held = message.decode()
            except FormatError:
                continue
            assert held.shape == message.header.shape
            assert np.all(np.isfinite(held))
            assert message.to_bytes() == frame


@each_golden_frame
def test_every_prefix_and_every_trailing_byte_is_refused(kept: dict[str, Any]) -> None:
    frame = bytes.fromhex(kept["frame"])
    for length in range(len(frame)):
        with pytest.raises(FormatError, match="ends early"):
            decode(frame[:length])
    for length in range(1, 17):
        for trailing in (bytes(length), (2 * frame)[:length]):
            with pytest.raises(FormatError, match=f"{length} bytes trail"):
                decode(frame + trailing)


def test_a_change_of_a_golden_frame_is_seen() -> None:
    kept = dict(KEPT[0])
    index, value = next(iter(kept["nonzero"].items()))
    changed = kept | {"nonzero": kept["nonzero"] | {index: value * 1.5}}
    assert "off by" in (golden_frames.differs(changed) or "")
    assert "refused" in (golden_frames.differs(kept | {"frame": kept["frame"][:-2]}) or "")


def flipped(data: bytes) -> list[bytes]:
    """``data`` with each of its bits flipped in turn."""
    number = int.from_bytes(data)
    return [(number ^ 1 << i).to_bytes(len(data)) for i in range(8 * len(data))]
