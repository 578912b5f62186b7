"""Subtractive dithering: unbiased with exactly omega, whatever x is; near its rate."""

import math

import numpy as np
import pytest
from scipy import stats

from paper_code import FormatError
from paper_code.compressors.subtractive_dithering import SubtractiveDithering
from paper_code.messages.message import Message, decode

VECTORS = {
    "normal": np.random.default_rng(0).standard_normal(20),
    "one-hot": np.eye(1, 20, 3)[0],
    "constant": np.ones(20),
    "decaying": 0.5 ** np.arange(20.0),
    "single": np.array([-2.0]),
}


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("omega", [0.25, 4.0])
def test_unbiased_with_exactly_omega(name: str, omega: float) -> None:
    x, runs, rng = VECTORS[name], 250, np.random.default_rng(1)
    c = SubtractiveDithering(omega)
    errors = np.array([c(x, rng) for _ in range(runs)]) - x
    variance = omega * np.sum(x**2) / x.size
    # 5 standard errors each of 220 statistics: false alarm 220 * 6e-7 < 2e-4
    assert np.all(np.abs(errors.mean(0)) <= 5 * math.sqrt(variance / runs))
    # the square of a uniform number has relative standard deviation sqrt(4/5)
    count = runs * x.size
    assert abs(np.mean(errors**2) / variance - 1) <= 5 * math.sqrt(0.8 / count)


def test_errors_are_uniform_and_bounded() -> None:
    """Kolmogorov-Smirnov of 2^21 errors, false alarm 1e-6: a dither U^0.99 would be seen.

    Of a constant vector: the fractions of x / step are uniform themselves where x is spread out.
    """
    x, omega = np.full(1 << 21, 0.7), 0.25
    errors = SubtractiveDithering(omega)(x, np.random.default_rng(3)) - x
    half = math.sqrt(3 * omega / x.size * np.sum(x**2))
    assert np.abs(errors).max() <= half * (1 + 1e-9)  # and a sum of 2^21 squares
    assert stats.kstest(errors / half / 2 + 0.5, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("omega", [0.0625, 0.25, 1.0])
def test_quarter_of_a_bit_above_the_bound(omega: float) -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal(1 << 16).astype(np.float32)
    frame = SubtractiveDithering(omega).encode(x, rng).to_bytes()
    # 0.2546 at most in theory; frame and header are 400 bits (0.006 at this d), and the sixteen
    # phases lose 0.002
    assert 8 * len(frame) / x.size - 0.5 * math.log2(1 + 1 / omega) <= 0.265


def test_pinned_frame() -> None:
    frame = bytes.fromhex(PINNED)
    held = decode(frame)
    assert SubtractiveDithering(0.25).encode(X, FixedNonce(0)).to_bytes() == frame
    assert np.abs(held - X).max() <= math.sqrt(3 * 0.25 / 3 * np.sum(X**2))


X = np.array([3.0, -4.0, 0.5])
PINNED = "d5670113030c000000000000d03f0700000000000000011146b17a438141989489f7c1466061be5bf5"


class FixedNonce(np.random.Generator):
    """A generator whose next nonce is known."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.Philox(seed))

    def bytes(self, length: int) -> bytes:
        """The nonce 7."""
        return (7).to_bytes(length, "little")


def test_zero_needs_a_scale_only() -> None:
    message = SubtractiveDithering(1.0).encode(np.zeros((2, 2)), np.random.default_rng(0))
    assert message.bits == 31
    assert np.array_equal(decode(message.to_bytes()), np.zeros((2, 2)))


def test_outliers_and_fine_steps() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(3000)
    x[7] = 1e8
    held = decode(SubtractiveDithering(1e-9).encode(x, rng).to_bytes())
    assert np.abs(held - x).max() <= math.sqrt(3e-9 / x.size * np.sum(x**2)) * (1 + 1e-9)


def test_damaged_payloads_are_refused_or_decode_to_another_vector() -> None:
    rng = np.random.default_rng(6)
    refused = 0
    for d in (3, 50, 20_000):
        message = SubtractiveDithering(0.25).encode(rng.standard_normal(d), rng)
        for _ in range(60):
            payload = bytearray(message.payload)
            payload[rng.integers(min(len(payload), 40))] ^= 1 << int(rng.integers(8))
            bits = message.bits - int(rng.integers(0, 3)) * 8
            damaged = Message(
                message.compressor, message.header, bytes(payload[: -(-bits // 8)]), bits
            )
            try:
                assert damaged.decode().shape == (d,)
            except FormatError:
                refused += 1
    assert refused > 60  # of 180; one seed


@pytest.mark.parametrize("omega", [0.0, -1.0, float("nan"), 1e7])
def test_settings(omega: float) -> None:
    with pytest.raises(ValueError, match="omega is"):
        SubtractiveDithering(omega)
