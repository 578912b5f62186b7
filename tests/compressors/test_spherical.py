"""Spherical Compression: the law of T, the strict error, the wire, the unbiased scheme.

Every statistical test has fixed seeds; its false-alarm rate is that of a fresh seed.
"""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from awkward import relative_error
from numpy.typing import NDArray
from scipy import stats

from paper_code import bounds
from paper_code.coding import codes
from paper_code.coding.bits import BitReader, BitWriter, FormatError
from paper_code.compressors.spherical import compression as spherical
from paper_code.compressors.spherical import directions
from paper_code.compressors.spherical.compression import SphericalCompression
from paper_code.messages.message import Header, Message, decode, parse
from paper_code.numerics import random_rotation, random_streams

POOLED = (0.055, 6)  # alpha, d: 1 / P = 8 138, so directions come from the pool


GOLDEN = [  # of x = (3, -4, 0, 1, 1/2, -2) and nonce 2021: alpha, payload, T, decoded
    (
        0.3,
        "8160000114",  # ||x|| = 5.5 is 0x40b00000; T - 1 = 5 is 1 in unary, 000101 in six bits
        6,
        [2.879020797, -3.502081655, 0.358551796, -0.242253481, -0.618585144, 0.227529374],
    ),
    (
        0.055,
        "816000002dd2",
        14058,
        [2.686288752, -3.890907902, 0.238538174, 0.270607232, 1.183123383, -2.168185592],
    ),
]


def draws(message: Message) -> int:
    """T, read from the payload."""
    p = bounds.cap_probability(message.compressor.alpha, message.header.d)
    reader = BitReader(message.payload, message.bits)
    reader.read_uint(31)
    return int(codes.read_rice(reader, 1, bounds.rice_parameter(p))[0]) + 1


def all_draws(alpha: float, x: NDArray, count: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    c = SphericalCompression(alpha)
    return np.array([draws(c.encode(x, rng)) for _ in range(count)])


def with_nonce(c: SphericalCompression, x: NDArray, nonce: int) -> Message:
    header, writer = Header(x.shape, x.dtype.name, 0, nonce), BitWriter()
    c._write(x, writer, header, None)
    return Message(c, header, writer.getvalue(), writer.bits)


def fresh_only(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = spherical._plan
    monkeypatch.setattr(spherical, "_plan", lambda alpha, d: plan(alpha, d)._replace(pooled=False))


# The law of T


@pytest.mark.parametrize(("alpha", "d"), [(0.5, 1), (0.5, 3), (0.3, 5), (0.2, 8)])
def test_t_is_geometric(alpha: float, d: int) -> None:
    """Chi-square over 12 equally likely cells (fewer where P is large); false alarm: 1e-3 each."""
    p = bounds.cap_probability(alpha, d)
    x = np.random.default_rng(d).standard_normal(d)
    t = all_draws(alpha, x, 1200, seed=1)
    edges = np.unique(stats.geom.ppf(np.arange(1, 12) / 12, p))
    seen = np.bincount(np.searchsorted(edges, t), minlength=edges.size + 1)
    expected = 1200 * np.diff(np.concatenate([[0], stats.geom.cdf(edges, p), [1]]))
    assert stats.chisquare(seen, expected).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["one-hot", "generic"])
def test_pool_is_like_fresh_draws(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pool, turned anew for 800 messages, against as many fresh lists: Kolmogorov-Smirnov.

    False alarm 1e-3 for each of three tests. A pool turned by signed permutations shows 28 values
    of T on a one-hot vector; 800 draws of a geometric law with 1 / P = 8 138 collide 20 times.
    """
    alpha, d = POOLED
    p = bounds.cap_probability(alpha, d)
    x = np.eye(d)[2] if kind == "one-hot" else np.array([3.0, -1.0, 0.5, 2.0, 0.1, -0.7])
    assert spherical._plan(alpha, d).pooled
    pooled = all_draws(alpha, x, 800, seed=2)
    assert np.unique(pooled).size > 800 - 20 - 5 * math.sqrt(20)
    fresh_only(monkeypatch)
    fresh = all_draws(alpha, x, 800, seed=3)
    assert stats.ks_2samp(pooled, fresh).pvalue > 1e-3
    for t in (pooled, fresh):
        assert stats.kstest(t, stats.geom(p).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("alpha", "d", "count"), [(0.25, 4, 2000), (*POOLED, 800)])
def test_mean_bits(alpha: float, d: int, count: int) -> None:
    """Counted bits agree with the exact mean (false alarm 1e-4), and that keeps the promise."""
    c, rng = SphericalCompression(alpha), np.random.default_rng(4)
    bits = [c.encode(rng.standard_normal(d), rng).bits for _ in range(count)]
    exact = 31 + bounds.spherical_compression_expected_bits(alpha, d)
    assert abs(np.mean(bits) - exact) < 3.9 * np.std(bits) / math.sqrt(count)
    least = 31 - bounds.log2_cap_probability(alpha, d)
    assert np.mean(bits) < c.expected_bits(d) == pytest.approx(least + 3)
    assert exact < least + 1.57


# The strict error


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("alpha", "d"), [(0.5, 1), (0.9, 40), (0.05, 3), (0.3, 7), POOLED])
def test_error_is_never_above_alpha(alpha: float, d: int, dtype: str) -> None:
    """1e-15 d is what adding up d squares may round, here and in the encoder."""
    c, rng = SphericalCompression(alpha), np.random.default_rng(5)
    for scale in (1.0, 1e-3, 200.0) * 15:
        x = (scale * rng.standard_normal(d)).astype(dtype)
        assert relative_error(c(x, rng), x) <= alpha * (1 + 1e-15 * d)


@pytest.mark.parametrize(("alpha", "d"), [(0.5, 2), (0.05, 3), (0.3, 7), (0.9, 40), POOLED])
def test_the_border_of_acceptance_is_sharp(alpha: float, d: int) -> None:
    """Direction 0 is taken where its error is alpha (1 - 1e-7), and not where alpha (1 + 1e-7).

    x is turned so that it is. The norm's rounding to float32 counts by its square, 1e-15.
    """
    c, rng, pooled = SphericalCompression(alpha), np.random.default_rng(d), (alpha, d) == POOLED
    for nonce in range(20):
        g = directions.direction(0, d, nonce, pooled)
        aside = rng.standard_normal(d)
        aside -= aside @ g * g
        aside /= np.linalg.norm(aside)
        for error in (alpha * (1 - 1e-7), alpha * (1 + 1e-7)):
            cosine = (2 - alpha - error) / (2 * math.sqrt(1 - alpha))
            x = cosine * g + math.sqrt(1 - cosine**2) * aside
            assert (draws(with_nonce(c, x, nonce)) == 1) == (error < alpha)


def test_acceptance_is_decided_on_what_the_receiver_holds() -> None:
    """At alpha = 1e-4 rounding to float16 moves directions across the border, both ways."""
    c, other = SphericalCompression(1e-4), 0
    for nonce in range(150):
        x = np.random.default_rng(nonce).standard_normal(3).astype(np.float16)
        message = with_nonce(c, x.astype(np.float32), nonce)
        held = Header(x.shape, "float16", 0, nonce)
        writer = BitWriter()
        c._write(x.astype(np.float32), writer, held, None)
        narrow = Message(c, held, writer.getvalue(), writer.bits)
        assert relative_error(narrow.decode(), x) <= 1e-4 * (1 + 3e-15)
        other += draws(narrow) != draws(message)
    assert other >= 1


def test_extremes_and_shapes() -> None:
    c, rng = SphericalCompression(0.3), np.random.default_rng(6)
    for x in (np.full((2, 3), 1e300), np.full(4, 1e-300), np.float32([[1e38], [2e38]])):
        y = c(x, rng)
        assert y.shape == x.shape and y.dtype == x.dtype
        assert relative_error(y, x) <= 0.3 * (1 + 1e-6)  # _STRICT_SLACK of the contract
    zero = c.encode(np.zeros((3, 2), np.float32), rng)
    assert zero.bits == 31 and not zero.decode().any() and zero.decode().shape == (3, 2)


def test_d_14_as_in_the_ridge_experiment() -> None:
    c, rng = SphericalCompression(0.15), np.random.default_rng(7)
    x = rng.standard_normal(14).astype(np.float32)
    for _ in range(2):
        message = c.encode(x, rng)
        assert 1 <= draws(message) < 40 * 2**20.9
        assert relative_error(decode(message.to_bytes()), x) <= 0.15 * (1 + 1e-14)


# The wire


def test_another_process_decodes_alike_and_draws_no_pool() -> None:
    rng, script = (
        np.random.default_rng(8),
        (
            "import sys, numpy as np\n"
            "from paper_code import decode\n"
            "from paper_code.compressors.spherical import directions\n"
            "from paper_code.compressors.spherical.compression import SphericalCompression\n"
            "for line in sys.stdin:\n"
            "    print(decode(bytes.fromhex(line)).tobytes().hex())\n"
            "assert directions._blocks.bytes == 0\n"
        ),
    )
    settings = [(0.3, 5, False), (0.3, 5, True), (*POOLED, False), (*POOLED, True), (0.5, 1, False)]
    messages = [
        SphericalCompression(alpha, unbiased).encode(rng.standard_normal(d), rng)
        for alpha, d, unbiased in settings
    ]
    lines = "\n".join(message.to_bytes().hex() for message in messages)
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.split() == [message.decode().tobytes().hex() for message in messages]


def test_a_libm_that_differs_in_the_last_digit_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every normal moves to a neighbouring double: decoded vectors move by less than 1e-6."""
    messages = [
        with_nonce(SphericalCompression(alpha), np.arange(1.0, d + 1), nonce)
        for alpha, d in ((0.3, 5), POOLED)
        for nonce in range(100)
    ]
    before = [message.decode() for message in messages]
    pairs, normals, rng = (
        random_streams.normal_pairs,
        random_rotation._normals,
        np.random.default_rng(9),
    )

    def moved(values: NDArray) -> NDArray:
        return np.nextafter(values, rng.choice([-np.inf, np.inf], values.shape))

    monkeypatch.setattr(random_streams, "normal_pairs", lambda *a: tuple(map(moved, pairs(*a))))
    monkeypatch.setattr(random_rotation, "_normals", lambda *a: moved(normals(*a)))
    after = [message.decode() for message in messages]
    assert any(not np.array_equal(a, b) for a, b in zip(after, before, strict=True))
    for a, b in zip(after, before, strict=True):
        assert np.linalg.norm(a - b) < 1e-6 * np.linalg.norm(b)


def test_pinned_payloads() -> None:
    """d = 1, alpha = 1/2: 31 bits of 1.0f, then T in unary; GOLDEN pins a pooled and a fresh T."""
    for nonce in range(8):
        message = with_nonce(SphericalCompression(0.5), np.ones(1, np.float32), nonce)
        signs = [directions.direction(i, 1, nonce, False)[0] for i in range(40)]
        zeros = next(i for i, sign in enumerate(signs) if sign > 0)
        pattern = f"{0x3F800000:031b}" + "0" * zeros + "1"
        padded = pattern.ljust(-(-len(pattern) // 8) * 8, "0")
        assert message.payload == int(padded, 2).to_bytes(len(padded) // 8, "big")
        assert message.decode()[0] == np.float32(math.sqrt(0.5))
    x = np.array([3.0, -4.0, 0.0, 1.0, 0.5, -2.0])
    for alpha, payload, t, decoded in GOLDEN:
        message = with_nonce(SphericalCompression(alpha), x, 2021)
        assert (message.payload.hex(), draws(message)) == (payload, t)
        assert message.decode() == pytest.approx(decoded, abs=1e-6)


# The unbiased scheme


@pytest.mark.parametrize(
    ("alpha", "x", "count"),
    [
        (0.5, [2.0, 1.0, 0.0, 0.0], 4000),
        (0.5, [0.0, -3.0], 3000),
        (POOLED[0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 800),
    ],
)
def test_unbiased_mean_and_omega(alpha: float, x: list[float], count: int) -> None:
    """Hotelling's T^2 of the mean error, chi-square with d degrees; false alarm 1e-3 each."""
    c, x, rng = SphericalCompression(alpha, unbiased=True), np.array(x), np.random.default_rng(10)
    errors = np.array([c(x, rng) - x for _ in range(count)])
    mean, covariance = errors.mean(axis=0), np.cov(errors.T)
    assert count * mean @ np.linalg.solve(covariance, mean) < stats.chi2(x.size).isf(1e-3)
    omega = c.guarantee(x.size).omega
    spread = np.sum(errors**2, axis=1) / (x @ x)
    assert abs(spread.mean() - omega) < 3.3 * spread.std() / math.sqrt(count)
    assert omega <= alpha / (1 - alpha) and c.guarantee(x.size).is_unbiased


def test_unbiased_sends_the_same_message() -> None:
    x = np.array([1.0, -2.0, 0.5, 3.0])
    for nonce in range(20):
        biased = with_nonce(SphericalCompression(0.4), x, nonce)
        unbiased = with_nonce(SphericalCompression(0.4, unbiased=True), x, nonce)
        assert biased.payload == unbiased.payload
        overlap = bounds.spherical_compression_mean_overlap(0.4, 4)
        assert unbiased.decode() * overlap == pytest.approx(biased.decode(), rel=1e-12)


# Short norms


@pytest.mark.parametrize("norm_bits", [9, 10, 11, 13, 20])
def test_a_short_norm_at_its_worst_rounding_still_keeps_alpha(norm_bits: int) -> None:
    """The rim of the cap, and a norm rounded by the most there is: the error is alpha itself."""
    for alpha in (0.1, 0.15, 0.9):
        c, worst = SphericalCompression(alpha, norm_bits=norm_bits), 2.0 ** (7 - norm_bits)
        assert c.cap < alpha
        for e in (-worst, worst):
            radius = math.sqrt(1 - c.cap) * (1 + e)
            error = 1 - 2 * radius * math.sqrt(1 - c.cap) + radius**2
            assert error == pytest.approx(alpha, rel=1e-12)


@pytest.mark.parametrize(("alpha", "norm_bits"), [(0.1, 9), (0.3, 10), (0.3, 11), (0.6, 16)])
def test_short_norms_are_strict_and_within_their_bits(alpha: float, norm_bits: int) -> None:
    """Norms over a binade, both borders and the midpoints between two floats among them.

    The mean is below the promise by 1.4 bits and more, five standard errors of 300 messages.
    """
    c, rng = SphericalCompression(alpha, norm_bits=norm_bits), np.random.default_rng(norm_bits)
    direction, bits = np.array([2.0, -1, 2, 0, 0]) / 3, []
    steps = np.arange(1, 3, 2.0 ** (7 - norm_bits))
    for norm in np.concatenate([steps[:: max(1, steps.size // 100)], rng.uniform(1, 2, 200)]):
        for dtype in (np.float32, np.float64):
            x = (norm * direction).astype(dtype)
            message = c.encode(x, rng)
            bits.append(message.bits)
            assert relative_error(message.decode(), x) <= alpha * (1 + 1e-6)
            assert message.from_bytes(message.to_bytes()) == message
    assert np.mean(bits) < c.expected_bits(5)


@pytest.mark.parametrize("scale", [1e-44, 1e-39, 1e-38, 1e38])
def test_short_norms_at_the_ends_of_the_range(scale: float) -> None:
    """Kept for float64; float32 has too few digits there, and what breaks alpha is refused."""
    c, rng = SphericalCompression(0.3, norm_bits=11), np.random.default_rng(1)
    x = scale * np.array([1.0, -2.0, 0.5])
    assert relative_error(c(x, rng) / scale, x / scale) <= 0.3
    narrow = x.astype(np.float32)
    try:
        held = c(narrow, rng)
    except ValueError as refusal:
        assert scale == 1e-44, refusal
    else:
        wide = narrow.astype(np.float64) / scale
        assert relative_error(held.astype(np.float64) / scale, wide) <= 0.3 * (1 + 1e-6)


def test_the_papers_norm_has_the_papers_frame() -> None:
    x = np.ones(4, np.float32)
    paper = with_nonce(SphericalCompression(0.5, norm_bits=31), x, 7)
    assert paper.to_bytes() == with_nonce(SphericalCompression(0.5), x, 7).to_bytes()
    assert repr(paper.compressor) == "SphericalCompression(alpha=0.5, unbiased=False)"
    short = with_nonce(SphericalCompression(0.5, norm_bits=12), x, 7)
    assert (paper.to_bytes()[5], short.to_bytes()[5]) == (3, 17)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"norm_bits": 8}, "norm_bits is 8; allowed are integers from 9 to 31"),
        ({"norm_bits": 32}, "norm_bits is 32"),
        ({"norm_bits": 11, "unbiased": True}, "norm_bits is 11; allowed is 31 where unbiased"),
        ({"norm_bits": 9, "alpha": 0.06}, "allowed are 0.0625 < alpha < 1 with norm_bits = 9"),
    ],
)
def test_norm_bits_are_checked(settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SphericalCompression(**{"alpha": 0.5} | settings)


# Refusals


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0, math.nan, math.inf])
def test_alpha_outside(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha is .*0 < alpha < 1"):
        SphericalCompression(alpha)


def test_too_many_draws_are_refused_before_any_work() -> None:
    c, rng = SphericalCompression(0.1), np.random.default_rng(11)
    with pytest.raises(
        ValueError, match=r"d is 100: about 2\*\*169 draws .*SparseDithering.*at most 18"
    ):
        c.encode(np.ones(100), rng)
    assert bounds.log2_cap_probability(0.1, [18, 19]) == pytest.approx([-31.56, -33.26], abs=0.01)
    data = with_nonce(SphericalCompression(0.9), np.ones(3, np.float32), 1).to_bytes()
    wide = Message(SphericalCompression(0.1), Header((10**6,), "float32", 0, 1), b"\0" * 4, 32)
    with pytest.raises(FormatError, match="draws are expected"):
        parse(wide.to_bytes()).decode()
    with pytest.raises(FormatError):
        decode(data[:-9])
    with pytest.raises(TypeError, match="rng"):
        c.encode(np.ones(3))


def test_far_directions_and_bad_nonces_are_refused() -> None:
    c, header, writer = SphericalCompression(0.5), Header((3,), "float64", 0, 1), BitWriter()
    codes.write_positive_float(writer, 1.0)
    far = SphericalCompression(0.05)
    header = Header((12,), "float64", 0, 1)  # Rice parameter 26: 2^14 zeros
    codes.write_rice(writer, [1 << 40], spherical._plan(0.05, 12).parameter)
    with pytest.raises(FormatError, match="out of range"):
        Message(far, header, writer.getvalue(), writer.bits).decode()
    payload = with_nonce(c, np.ones(3), 1)
    for nonce in (None, -1, 1 << 64, b"12345678"):
        with pytest.raises(ValueError, match="nonce is"):
            Message(c, Header((3,), "float64", 0, nonce), payload.payload, payload.bits).decode()


def test_alpha_finer_than_the_element_type() -> None:
    rng = np.random.default_rng(12)
    with pytest.raises(ValueError, match="finer than float16"):
        SphericalCompression(1e-7).encode(np.ones(2, np.float16), rng)
    with pytest.raises(ValueError, match="finer than float64"):
        SphericalCompression(1e-14).encode(np.ones(2), rng)


def test_a_search_without_a_hit_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spherical, "_PATIENCE", 0.01)
    with pytest.raises(ValueError, match="none of 6 directions keeps it once rounded to float64"):
        with_nonce(SphericalCompression(0.1), np.ones(5), 4)
