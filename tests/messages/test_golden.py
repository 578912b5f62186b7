"""Golden frames decode for ever, and no damage to one goes unnoticed."""

import zlib
from typing import Any

import golden_frames
import numpy as np
import pytest

from paper_code import FormatError, Message, decode
from paper_code.messages.settings import identifier, registered

KEPT = list(golden_frames.load_all())


def test_every_compressor_has_golden_frames_that_it_still_writes() -> None:
    """If this fails: python tests/golden_frames.py"""
    pytest.importorskip("torch")
    assert [f"{new['compressor']}, {new['input']}" for _, new in golden_frames.missing()] == []


def test_every_identifier_of_the_library_has_golden_frames() -> None:
    library = {number for number in registered() if number < 128}
    frames = (Message.from_bytes(bytes.fromhex(kept["frame"])) for kept in KEPT)
    assert library == {identifier(frame.compressor) for frame in frames}


@pytest.mark.parametrize("kept", KEPT, ids=lambda k: f"{k['compressor']} {k['input']}")
def test_a_golden_frame(kept: dict[str, Any]) -> None:
    """It decodes to what it always did, and is written so; nothing else passes for it."""
    assert golden_frames.differs(kept) is None
    frame = bytes.fromhex(kept["frame"])
    message = Message.from_bytes(frame)
    assert message.to_bytes() == frame
    assert repr(message.compressor) == kept["compressor"]
    damage_is_refused(frame)
    a_flipped_bit_under_a_repaired_crc_is_refused_or_decodes_to_finite_numbers(frame)


def damage_is_refused(frame: bytes) -> None:
    for damaged in flipped(frame):
        with pytest.raises(FormatError):
            decode(damaged)
    for length in range(len(frame)):
        with pytest.raises(FormatError, match="ends early"):
            decode(frame[:length])
    for trailing in (b"\0", frame):
        with pytest.raises(FormatError, match=f"{len(trailing)} bytes trail"):
            decode(frame + trailing)


def a_flipped_bit_under_a_repaired_crc_is_refused_or_decodes_to_finite_numbers(
    frame: bytes,
) -> None:
    with np.errstate(all="raise"):
        for damaged in flipped(frame[:-4]):
            repaired = damaged + zlib.crc32(damaged).to_bytes(4, "little")
            try:
                message = Message.from_bytes(repaired, max_dim=1 << 20)
                held = message.decode()
            except FormatError:
                continue
            assert held.shape == message.header.shape
            assert np.all(np.isfinite(held))
            assert message.to_bytes() == repaired


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
