"""The known compressors: bit strings by hand, tight constants, payloads that are refused."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special

from paper_code import (
    Compressor,
    FormatError,
    Header,
    Message,
    NaturalCompression,
    NaturalDithering,
    RandK,
    RandomDithering,
    RotatedSign,
    ScaledSign,
    Ternary,
    TopK,
)
from paper_code.coding import elias_gamma
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.compressors.known.sparsification import at_random

ONE, TWO, THREE = (f"{int(np.float32(v).view(np.uint32)):031b}" for v in (1, 2, 3))


def bits_of(message: Message) -> str:
    return "".join(f"{byte:08b}" for byte in message.payload)[: message.bits]


def payload(c: Compressor, d: int, bits: str) -> Message:
    """A message that says ``bits`` for d coordinates of float32."""
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    header = Header((d,), "float32", nonce=5 if c.shares_randomness else None)
    return Message(c, header, data, len(bits))


@pytest.mark.parametrize(
    ("c", "x", "bits"),
    [
        # norm 2; one non-zero of 3; gap 2, sign, level 4
        (RandomDithering(4), [0, -2, 0], TWO + "00" + "010" + "1" + "00100"),
        # maximum 2; one non-zero of 3; sign; subset {1} has rank 1 of 3
        (Ternary(), [0, -2, 0], TWO + "00" + "1" + "01"),
        # twice the exponent field, less one where negative: 2 * 127, 2 * 125 - 1, 0
        (NaturalCompression(), [1, -0.25, 0], "011111110" + "011111001" + "000000000"),
        # norm 2; twice the level, less one where negative: 2 * 3 - 1, 0
        (NaturalDithering(3), [-2, 0], TWO + "101" + "000"),
        # mean magnitude 3; signs
        (ScaledSign(), [1, -5, 3], THREE + "010"),
        (RandK(1), [-1], "1" + ONE),
    ],
    ids=repr,
)
def test_pinned_payloads(c: Compressor, x: list[float], bits: str) -> None:
    message = c.encode(np.array(x, np.float32), np.random.default_rng(0))
    assert bits_of(message) == bits
    assert payload(c, len(x), bits).decode().shape == (len(x),)


def random_vectors(d: int, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Unit vectors of every kind: flat, spiky, two-valued, heavy-tailed."""
    shapes = [np.ones(d), np.eye(d)[0], rng.standard_normal(d), np.abs(rng.standard_t(1, d))]
    for _ in range(40):
        flat = rng.integers(1, d + 1)
        x = np.where(np.arange(d) < flat, 1, 10.0 ** rng.uniform(-3, 0))
        shapes += [x, rng.random(d) ** rng.uniform(0, 20)]
    return [np.abs(x) / np.linalg.norm(x) for x in shapes]


def variance_between(x: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> float:
    """Of a random rounding of every x to ``low`` or ``high`` that is right in the mean."""
    return float(np.sum((x - low) * (high - x)))


def dithering_variance(u: NDArray[np.float64], levels: int) -> float:
    low = np.floor(u * levels) / levels
    return variance_between(u, low, low + 1 / levels)


def ternary_variance(u: NDArray[np.float64], levels: int) -> float:
    return variance_between(u, np.zeros_like(u), np.full_like(u, u.max()))


def natural_variance(u: NDArray[np.float64], levels: int) -> float:
    least = 2.0 ** (1 - levels)
    low = np.where(u < least, 0, 2 ** np.floor(np.log2(np.maximum(u, least))))
    return variance_between(u, low, np.where(u < least, least, 2 * low))


FAMILIES = [
    (RandomDithering, dithering_variance),
    (lambda levels: Ternary(), ternary_variance),
    (NaturalDithering, natural_variance),
]


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(("family", "variance"), FAMILIES)
def test_no_vector_exceeds_omega(
    family: Callable[[int], Compressor], variance: Callable[..., float], levels: int
) -> None:
    rng = np.random.default_rng(levels)
    for d in (1, 2, 5, 17, 100, 1000):
        omega = family(levels).guarantee(d).omega
        worst = max(variance(u, levels) for u in random_vectors(d, rng))
        assert worst <= omega + 1e-12 * d  # rounding of a sum of d numbers


def test_omega_is_reached() -> None:
    """Equality cases: every |x_i| equal; one sqrt(d) + 1 times the others; 4/3 of powers of two."""
    for d, levels in [(400, 1), (400, 10), (4096, 3)]:
        u = np.full(d, d**-0.5)
        omega = RandomDithering(levels).guarantee(d).omega
        assert dithering_variance(u, levels) == pytest.approx(omega, rel=1e-9)
        u = np.r_[1, np.full(d - 1, 1 / (1 + math.sqrt(d)))]
        worst = ternary_variance(u / np.linalg.norm(u), 1)
        assert worst == pytest.approx(Ternary().guarantee(d).omega, rel=1e-9)
    assert natural_variance(np.full(400, 0.05), 3) == pytest.approx(
        NaturalDithering(3).guarantee(400).omega, rel=1e-9
    )
    # one coordinate of 4/3 2^-j takes nearly all of the norm; the others sit at 4/9 of 2^(1-s)
    big, small = 2 / 3, 4 / 9 * 2.0**-7
    many = round((1 - big**2) / small**2)
    u = np.r_[big, np.full(many, small)]
    assert natural_variance(u / np.linalg.norm(u), 8) == pytest.approx(
        NaturalDithering(8).guarantee(u.size).omega,
        rel=1e-4,  # d - 1 coordinates add to it, not d, and ``many`` is rounded
    )
    rng, x = np.random.default_rng(0), np.full(64, 4 / 3)
    c = NaturalCompression()
    errors = [np.sum((c(x, rng) - x) ** 2) / np.sum(x**2) for _ in range(4000)]
    # a coordinate's squared error is (1/3)^2 or (2/3)^2 with chance 2/3 and 1/3
    assert np.mean(errors) == pytest.approx(1 / 8, abs=5 * np.std(errors) / math.sqrt(4000))


def test_one_bit_after_a_uniform_rotation() -> None:
    """E d / ||u||_1^2 = d (d - 2) int_0^inf t erfcx(t / sqrt 2)^d dt grows to pi/2 from below."""

    def exact(d: int) -> float:
        integral = integrate.quad(lambda t: t * special.erfcx(t / math.sqrt(2)) ** d, 0, np.inf)[0]
        return d * (d - 2) * integral

    values = [exact(d) for d in range(3, 200)]
    assert np.all(np.diff(values) > 0)
    assert values[-1] < math.pi / 2
    assert values[-1] == pytest.approx(math.pi / 2, rel=2 / 200)
    assert values[0] > 4 / math.pi  # the value at d = 2
    rng = np.random.default_rng(4)
    u = rng.standard_normal((100_000, 8))
    sample = 8 * np.sum(u**2, axis=1) / np.sum(np.abs(u), axis=1) ** 2
    assert exact(8) == pytest.approx(sample.mean(), abs=5 * sample.std() / math.sqrt(100_000))


def test_every_subset_is_as_likely() -> None:
    """Chi-square over the 10 pairs of 5 coordinates; false alarm 1e-6."""
    codes = [int(np.packbits(at_random(5, 2, nonce))[0]) for nonce in range(20_000)]
    counts = np.unique(codes, return_counts=True)[1]
    assert counts.size == 10
    assert np.sum((counts - 2000) ** 2 / 2000) < special.chdtri(9, 1e-6)
    assert np.count_nonzero(at_random(100_000, 70_000, 3)) == 70_000  # past one block of draws
    assert np.all(at_random(9, 9, 3))


@pytest.mark.parametrize("share", [0.001, 0.3, 1.0])
def test_elias_round_trip_and_bound(share: float) -> None:
    rng = np.random.default_rng(8)
    for d in (1, 2, 3, 64, 1000):
        for top in (1, 2, 7, 1000, 2**31 - 1):
            levels = rng.integers(-top, top, d, endpoint=True).astype(np.int32)
            levels[rng.random(d) > share] = 0
            levels[rng.integers(d)] = top
            writer = BitWriter()
            elias_gamma.write_levels(writer, levels, int(np.count_nonzero(levels)))
            total = float(np.abs(levels.astype(np.int64)).sum())
            assert writer.bits <= elias_gamma.levels_bits_bound(d, total)
            reader = BitReader(writer.getvalue(), writer.bits)
            np.testing.assert_array_equal(elias_gamma.read_levels(reader, d, top), levels)
            assert reader.remaining == 0


NAN = "1" * 31


@pytest.mark.parametrize(
    ("c", "d", "bits"),
    [
        (RandomDithering(4), 3, TWO),  # ends before the levels
        (RandomDithering(4), 3, NAN + "00" + "010" + "1" + "1"),  # norm is NaN
        (RandomDithering(4), 3, TWO + "00" + "00100" + "1" + "1"),  # gap leads past the end
        (RandomDithering(4), 3, TWO + "00" + "010" + "1" + "00101"),  # level 5 of 4
        (RandomDithering(4), 3, TWO + "11" + "1110" * 1 + "1" * 20),  # 4 non-zeros of 3
        (RandomDithering(4), 3, TWO + "00" + "0" * 40),  # gamma code without an end
        (RandomDithering(4), 3, "0" * 31 + "1"),  # something after the zero vector
        (Ternary(), 3, TWO + "11" + "1111"),  # 4 non-zeros of 3
        (Ternary(), 3, TWO + "00" + "1" + "11"),  # rank 3 of 3
        (NaturalCompression(), 1, "111111101"),  # exponent field 255
        (NaturalCompression(), 2, "000000000"),
        (NaturalDithering(3), 1, TWO + "111"),  # level 4 of 3
        (NaturalDithering(3), 2, TWO + "000000"),  # a norm, and all zero
        (ScaledSign(), 3, THREE + "01"),
        (ScaledSign(), 3, "0" * 31 + "010"),
        (RotatedSign(), 3, NAN + "010"),
        (RandK(2), 1, ONE),  # k above d
        (TopK(2), 1, ONE),
    ],
)
def test_what_no_encoder_writes_is_refused(c: Compressor, d: int, bits: str) -> None:
    with pytest.raises(FormatError):
        payload(c, d, bits).decode()


@pytest.mark.parametrize(
    ("kind", "setting", "says"),
    [
        (RandK, 0, "k is 0"),
        (TopK, -1, "k is -1"),
        (RandomDithering, 0, "levels is 0"),
        (RandomDithering, 2**31, "levels is 2147483648"),
        (NaturalDithering, 0, "levels is 0"),
        (NaturalDithering, 65, "levels is 65"),
    ],
)
def test_settings_are_refused_by_name(kind: type, setting: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        kind(setting)


@pytest.mark.parametrize("kind", [TopK, RandK])
def test_k_above_d_is_refused(kind: type) -> None:
    for call in (kind(4).guarantee, kind(4).max_bits):
        with pytest.raises(ValueError, match="k is 4, but x has only d = 3"):
            call(3)
    with pytest.raises(ValueError, match="k is 4, but x has only d = 3"):
        kind(4).encode(np.ones(3), np.random.default_rng(0))


def test_float64_below_the_range_of_exponents_stays_unbiased() -> None:
    """2^-128 is a quarter of the least level: 1 in 4 messages hold 2^-126. False alarm 6e-7."""
    rng, x = np.random.default_rng(6), np.array([1.0, 2.0**-128])
    held = np.array([NaturalCompression()(x, rng)[1] for _ in range(2000)]) * 2.0**126
    assert set(held) == {0.0, 1.0}
    assert held.mean() == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / 2000))
