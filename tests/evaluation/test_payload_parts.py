"""The parts of a message add up to it, and are what they are called."""

import numpy as np
import pytest
from golden_frames import COMPRESSORS

from paper_code import (
    Compressor,
    EntropyCodedSparseDithering,
    Identity,
    RotatedSign,
    SparseDithering,
    SphericalCompression,
    TopK,
)
from paper_code.coding import codes
from paper_code.evaluation.payload_parts import frame_parts, payload_parts
from paper_code.evaluation.sample_vectors import KINDS

X = np.array([3.0, -4.0, 0.1, 0.0, 5.0], np.float32)


@pytest.mark.parametrize("c", COMPRESSORS, ids=repr)
def test_parts_add_up_to_the_message(c: Compressor) -> None:
    rng = np.random.default_rng(1)
    vectors = [np.zeros(8)] + [kind(d, rng) for kind in KINDS.values() for d in (8, 12)]
    for x in vectors:
        message = c.encode(x.astype(np.float32), rng)
        parts = payload_parts(message)
        assert sum(parts.values()) == message.bits
        assert all(bits > 0 for bits in parts.values())
        assert "payload" not in parts, "every part of this library's payloads has a name"
        assert sum(frame_parts(message).values()) == 8 * len(message.to_bytes())


def test_a_bit_is_in_the_part_that_it_changes() -> None:
    """Sparse Dithering of X: levels 2, -3, 0, 0, 4 of a step; signs and levels where they say."""
    message = SparseDithering(nu=0.05).encode(X)
    parts = payload_parts(message)
    assert parts == {"step": 31, "number of zeros": 3, "signs": 3, "levels": 9, "positions": 4}
    string = "".join(f"{byte:08b}" for byte in message.payload)
    ends = dict(zip(parts, np.cumsum(list(parts.values())), strict=True))
    assert string[ends["number of zeros"] : ends["signs"]] == "010"
    assert string[ends["signs"] : ends["levels"]] == "01" + "001" + "0001"


def test_sizes_that_are_known() -> None:
    rng = np.random.default_rng(0)
    assert payload_parts(Identity().encode(X)) == {"values": 160}
    assert payload_parts(TopK(2).encode(X)) == {"values": 64, "positions": codes.subset_bits(5, 2)}
    assert payload_parts(RotatedSign().encode(X, rng)) == {"scale": 31, "signs": 5}
    spherical = payload_parts(SphericalCompression(0.2).encode(X, rng))
    assert list(spherical) == ["norm", "number of the direction"]
    coded = payload_parts(EntropyCodedSparseDithering(0.1).encode(X))
    assert list(coded) == ["scale", "model", "levels"]
    assert coded["scale"] == 31
