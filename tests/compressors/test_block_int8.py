"""int8 with block scales: the bytes it is known for, and the error that no vector exceeds."""

import numpy as np
import pytest

from paper_code import BlockInt8, FormatError
from paper_code.messages.message import Header, Message


def relative_error(c: BlockInt8, x: np.ndarray) -> float:
    wide = x.astype(np.float64)
    return float(np.sum((c(x).astype(np.float64) - wide) ** 2) / np.sum(wide**2))


def test_pinned_bits() -> None:
    """Scale 1/127 * 127 = 1 is the pattern 0x3f800000; levels 127, -2 (ties to even), 0."""
    message = BlockInt8(block=3).encode(np.array([127.0, -2.5, 0.5]))
    bits = f"{int.from_bytes(message.payload):056b}"
    assert bits[:31] == f"{0x3F800000:031b}"
    assert bits[31:55] == f"{127:08b}" + f"{256 - 2:08b}" + f"{0:08b}"
    assert message.bits == 31 + 3 * 8


@pytest.mark.parametrize("block", [1, 2, 64, 1000, 1 << 15])
def test_the_worst_block_comes_near_the_guarantee(block: int) -> None:
    """(127, 1/2, ..., 1/2) loses all halves: (n - 1)/(4 * 127^2 + n - 1)."""
    c, x = BlockInt8(block), np.full(3 * block, 0.5)
    x[::block] = 127
    level = c.guarantee(x.size).level
    assert relative_error(c, x) == pytest.approx((block - 1) / (4 * 127**2 + block - 1))
    assert relative_error(c, x) <= level


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_vector_exceeds_the_guarantee(dtype: str) -> None:
    """Values at the middle of two levels, where the element type rounds once more."""
    rng = np.random.default_rng(0)
    c = BlockInt8(64)
    for _ in range(200):
        x = (rng.integers(-4, 4, 640) + 0.5) * rng.uniform(0.5, 2)
        x[::64] = 127 * np.abs(x).max() / np.abs(x[5])
        x = x.astype(dtype)
        assert relative_error(c, x) <= c.guarantee(x.size).level


def test_bfloat16_keeps_the_guarantee() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    c = BlockInt8(64)
    worst = 0.0
    for _ in range(200):
        x = torch.tensor((rng.integers(-3, 3, 640) + 0.5) * rng.uniform(0.5, 2))
        x[::64] = 127 * rng.uniform(0.99, 1.01) * x.abs().min() * 2
        x = x.to(torch.bfloat16)
        wide, held = x.double(), c(x).double()
        worst = max(worst, float(((held - wide) ** 2).sum() / (wide**2).sum()))
    assert 0.0005 < worst <= c.guarantee(640).level


def test_levels_and_scales_that_no_encoder_writes_are_refused() -> None:
    header = Header((1,), "float64")
    for scale, level in ((0x7F800000, 1), (0x3F800000, 128)):
        payload = (((scale << 8) | level) << 1).to_bytes(5)
        with pytest.raises(FormatError, match=r"scale is not finite|level is -128"):
            Message(BlockInt8(), header, payload, 39).decode()


@pytest.mark.parametrize("block", [0, 1 << 16])
def test_blocks_out_of_range_are_refused(block: int) -> None:
    with pytest.raises(ValueError, match="block is"):
        BlockInt8(block)
