"""The k largest of each chunk: pinned bits, the worst vectors, payloads that no encoder writes."""

import numpy as np
import pytest

from paper_code import ChunkedTopK, FormatError
from paper_code.messages.message import Header, Message

ONE = f"{0x3F800000:031b}"  # the scale 1 as a float32


def relative_error(c: ChunkedTopK, x: np.ndarray) -> float:
    wide = x.astype(np.float64)
    return float(np.sum((c(x).astype(np.float64) - wide) ** 2) / np.sum(wide**2))


def test_pinned_bits() -> None:
    """Two scales; positions 0, 1 and 2, 3; values 3, -1 and 1, 1 as a sign and the second level."""
    x = np.array([3.0, -1.0, 0.5, 0.0, 0.0, 0.0, 1.0, 1.0])
    c = ChunkedTopK(k=2, chunk=4)
    message = c.encode(x)
    bits = f"{int.from_bytes(message.payload):0{8 * len(message.payload)}b}"
    assert bits[: message.bits] == 2 * ONE + "00011011" + "01100000"
    assert message.bits == c.max_bits(8) == 2 * 31 + 4 * (2 + 2)
    assert c(x).tolist() == [3, -1, 0, 0, 0, 0, 1, 1]


def test_the_settings_in_use_cost_927_bits_a_chunk() -> None:
    x = np.random.default_rng(0).standard_normal(2 * 4096 + 10).astype(np.float32)
    assert ChunkedTopK().encode(x).bits == 2 * (31 + 64 * (12 + 2)) + 31 + 10 * (12 + 2)


@pytest.mark.parametrize(("k", "chunk"), [(64, 4096), (3, 16), (1, 8), (8, 8)])
def test_the_worst_vectors_are_flat_or_of_one_coordinate(k: int, chunk: int) -> None:
    """The flat one loses what is not kept; signs alone lose 1 - 1/k of a single one."""
    c, flat, single = ChunkedTopK(k, chunk), np.ones(3 * chunk), np.zeros(3 * chunk)
    single[::chunk] = 1
    level = c.guarantee(flat.size).level
    assert relative_error(c, flat) == pytest.approx(1 - k / chunk)
    assert relative_error(ChunkedTopK(k, chunk, value_bits=1), single) == pytest.approx(1 - 1 / k)
    assert max(relative_error(c, flat), relative_error(c, single)) <= level
    assert level == pytest.approx(1 - min(1 / k, k / chunk), abs=2e-5)  # u^2 = 2^-16


def test_more_bits_a_value_lose_less() -> None:
    x = np.random.default_rng(0).standard_t(3, 4096)
    errors = [relative_error(ChunkedTopK(256, 4096, bits), x) for bits in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    kept = np.sort(np.abs(x))[-256:]
    assert errors[-1] == pytest.approx(1 - np.sum(kept**2) / np.sum(x**2), abs=1e-4)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (ONE + "0100" + "0000", "positions do not rise"),
        (ONE + "0101" + "0000", "positions do not rise"),
        (f"{0x7F800000:031b}" + "0001" + "0000", "a scale is not finite"),
        (ONE + "0011" + "0000", "positions do not rise"),  # beyond d = 3
    ],
)
def test_payloads_that_no_encoder_writes_are_refused(bits: str, words: str) -> None:
    payload = int(bits.ljust(40, "0"), 2).to_bytes(5, "big")
    with pytest.raises(FormatError, match=words):
        Message(ChunkedTopK(k=2, chunk=4), Header((3,), "float64"), payload, len(bits)).decode()


@pytest.mark.parametrize("settings", [{"k": 5, "chunk": 4}, {"chunk": 0}, {"value_bits": 9}])
def test_settings_out_of_range_are_named(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(settings))} is .*; allowed are integers"):
        ChunkedTopK(**settings)
