"""Entropy-coded Sparse Dithering: strict on every vector, near its rate, safe on any payload."""

import dataclasses
import math
import zlib

import numpy as np
import pytest
from awkward import ALPHAS, awkward_vectors, refused_when_damaged, relative_error

from paper_code import E8
from paper_code.compressors.entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from paper_code.messages.message import decode


def test_strict_on_awkward_vectors() -> None:
    for i, x in enumerate(awkward_vectors(252, seed=5)):
        alpha, chunk = ALPHAS[i % len(ALPHAS)], (0, 16, 1000)[i // 7 % 3]
        held = decode(EntropyCodedSparseDithering(alpha, chunk).encode(x).to_bytes())
        assert held.dtype == x.dtype
        assert relative_error(held, x) <= alpha * (1 + 1e-12), (i, x.size, alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_quarter_of_a_bit_above_the_bound(alpha: float) -> None:
    x = np.random.default_rng(1).standard_normal(1 << 16).astype(np.float32)
    frame = EntropyCodedSparseDithering(alpha).encode(x).to_bytes()
    assert 1 - 0.002 <= relative_error(decode(frame), x) / alpha <= 1
    # 0.255 in theory, and 300 bits of frame and model: 0.005 at this d
    assert 8 * len(frame) / x.size - 0.5 * math.log2(1 / alpha) <= 0.265


def test_a_range_of_steps_with_the_same_error_above_alpha_is_left() -> None:
    """One large coordinate and 99 small ones: the error is .3015 while these round to 0."""
    x = np.full(100, 0.3, np.float32)
    x[0] = 4.5436511
    c = EntropyCodedSparseDithering(0.3)
    assert relative_error(c(x), x) <= 0.3
    e8 = E8(0.02)
    for pair in np.random.default_rng([15, 2]).standard_normal((60, 2), dtype=np.float32):
        assert relative_error(e8(pair), pair) <= 0.02 * (1 + 1e-6)


def test_every_chunk_keeps_the_error_on_its_own() -> None:
    """Each 100 times smaller than the one before; as one vector, all but the first would be 0."""
    x = np.random.default_rng(8).standard_normal((4, 1000)) * 100.0 ** -np.arange(4)[:, None]
    for alpha in (0.01, 0.5, 0.95):
        chunked = decode(EntropyCodedSparseDithering(alpha, chunk=1000).encode(x).to_bytes())
        assert max(relative_error(*pair) for pair in zip(chunked, x, strict=True)) <= alpha
    assert not EntropyCodedSparseDithering(0.01)(x)[1:].any()


def test_strict_where_a_chunk_is_next_to_nothing() -> None:
    """It is left out, for its scale could be subnormal, and the other chunks pay for it."""
    for tiny in (1e-8, 1e-10, 1e-30, 5e-324, 0.0):
        x = np.random.default_rng(9).standard_normal(64)
        x[16:32] *= tiny
        for alpha in (1e-12, 0.1, 0.95):
            held = EntropyCodedSparseDithering(alpha, chunk=16)(x)
            assert relative_error(held, x) <= alpha * (1 + 1e-12)
            assert held[16:32].any() == (tiny == 1e-8)


def test_many_chunks_that_are_next_to_nothing_may_be_more_than_alpha() -> None:
    x = np.full(1 << 21, 0.99 * 2.0**-30)
    x[0] = 1
    held = EntropyCodedSparseDithering(1e-12, chunk=1)(x)
    assert relative_error(held, x) <= 1e-12


def test_numpy_integers_are_chunks() -> None:
    x = np.random.default_rng(10).standard_normal(1000)
    plain = EntropyCodedSparseDithering(0.1, chunk=16)(x)
    assert np.array_equal(EntropyCodedSparseDithering(0.1, chunk=np.uint8(16))(x), plain)


def test_pinned_frame() -> None:
    x = np.array([3.0, -4.0, 0.1, 0.0, 2.5], np.float32)
    message = EntropyCodedSparseDithering(0.1).encode(x)
    # scale (31 bits), kind and name of the model (1 + 9), no raw bits (1), one word of the coder
    assert (message.bits, message.payload.hex()) == (72, "8095555681f5efd3ee")
    # a very fine alpha, where the last place of a float32 scale counts beside it
    y = np.rint(3 * np.random.default_rng(11).standard_normal(40)).astype(np.float32)
    fine = EntropyCodedSparseDithering(1e-10).encode(y)
    assert (fine.bits, zlib.crc32(fine.payload)) == (915, 437536969)
    # two scales of 15 bits in place of one of 31
    message = EntropyCodedSparseDithering(0.1, chunk=3).encode(x)
    assert (message.bits, message.payload.hex()) == (71, "80c1008103ebdfa7dc")


@pytest.mark.parametrize("shape", [(1,), (2, 3), ()])
def test_zero_and_shapes(shape: tuple[int, ...]) -> None:
    c = EntropyCodedSparseDithering(0.1)
    assert c.encode(np.zeros(shape)).bits == 31
    assert np.array_equal(c(np.ones(shape)), np.ones(shape))


def test_outliers_cost_bits_not_memory() -> None:
    x = np.random.default_rng(2).standard_normal(5000)
    x[17] = 1e9
    held = EntropyCodedSparseDithering(1e-12)(x)
    assert relative_error(held, x) <= 1e-12


def test_same_bytes_again() -> None:
    x = np.random.default_rng(3).standard_t(3, 100_000)
    c = EntropyCodedSparseDithering(0.1)
    assert c.encode(x).to_bytes() == c.encode(x.copy()).to_bytes()


@pytest.mark.parametrize("chunk", [0, 16])
def test_damaged_payloads_are_refused_or_decode_to_another_vector(chunk: int) -> None:
    c = EntropyCodedSparseDithering(0.1, chunk)
    refused = refused_when_damaged(c, (3, 50, 20_000), seed=4, times=100, reach=40)
    assert refused > 100  # the count of one seed is 200 or so: most damage is seen


@pytest.mark.parametrize("alpha", [1e-4, 1e-6, 1e-9])
def test_strict_where_rounding_to_the_element_type_matters(alpha: float) -> None:
    x = np.random.default_rng(7).standard_normal(500).astype(np.float16)
    assert relative_error(EntropyCodedSparseDithering(alpha)(x), x) <= alpha


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan"), -1.0])
def test_settings(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha is"):
        EntropyCodedSparseDithering(alpha)
    with pytest.raises(ValueError, match="chunk is -1; allowed are integers from 0"):
        EntropyCodedSparseDithering(0.5, chunk=-1)
    assert dataclasses.is_dataclass(EntropyCodedSparseDithering(0.5))
