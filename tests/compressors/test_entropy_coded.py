"""Entropy-coded Sparse Dithering: strict on every vector, near its rate, safe on any payload."""

import dataclasses
import math

import numpy as np
import pytest
from awkward import ALPHAS, awkward_vectors, refused_when_damaged, relative_error

from paper_code import E8
from paper_code.compressors.entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from paper_code.messages.message import decode


def test_strict_on_awkward_vectors() -> None:
    for i, x in enumerate(awkward_vectors(252, seed=5)):
        alpha = ALPHAS[i % len(ALPHAS)]
        held = decode(EntropyCodedSparseDithering(alpha).encode(x).to_bytes())
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


def test_pinned_frame() -> None:
    x = np.array([3.0, -4.0, 0.1, 0.0, 2.5], np.float32)
    message = EntropyCodedSparseDithering(0.1).encode(x)
    # scale (31 bits), kind and name of the model (1 + 9), no raw bits (1), one word of the coder
    assert (message.bits, message.payload.hex()) == (72, "8095555681f5efd3ee")


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


def test_damaged_payloads_are_refused_or_decode_to_another_vector() -> None:
    c = EntropyCodedSparseDithering(0.1)
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
    assert dataclasses.is_dataclass(EntropyCodedSparseDithering(0.5))
