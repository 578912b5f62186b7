"""Sparse Dithering: its guarantee, its bits against the paper's bound, and its bit strings.

That the unbiased scheme is unbiased, and its bits, the laws hold (tests/test_laws.py).
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from awkward import relative_error

from paper_code import SparseDithering, bounds, decode
from paper_code.compressors import sparse_dithering

torch = pytest.importorskip("torch")
SLACK = 1e-6  # of the error, relative to nu: what rounding to the element type may add


def vectors(d: int, nu: float) -> Iterator[np.ndarray]:
    """Of every kind, and on the thresholds: halfway between two levels the error is largest."""
    rng = np.random.default_rng(d)
    one_hot = np.zeros(d)
    one_hot[d // 2] = -3.0
    yield from (rng.standard_normal(d), rng.standard_t(3, d), one_hot, np.ones(d))
    yield rng.standard_normal(d) * (rng.random(d) < 0.05) + one_hot
    yield 2.0 ** -np.arange(d, dtype=float).clip(max=90)
    half_step = math.sqrt(nu / d)
    on_threshold = np.full(d, half_step * 0.999999)
    on_threshold[: min(d, int(1 / (nu / d) / 9))] = 3 * half_step
    yield from (on_threshold * scale for scale in (1.0, 1 - 1e-7, 1 + 1e-7))


def pattern(c: SparseDithering, x: list[float]) -> str:
    message = c.encode(np.array(x, np.float32))
    return "".join(f"{byte:08b}" for byte in message.payload)[: message.bits]


def test_bit_string_by_hand() -> None:
    # ||x|| = 4, h = sqrt(0.25/4) = 1/4: gamma = 2; level 2; see each part
    x = [0.0, -4.0, 0.0, 0.0]
    gamma = f"{np.float32(2.0).view(np.uint32):031b}"
    n_zero, negative, level_2, second_of_4 = "11", "1", "01", "01"
    assert pattern(SparseDithering(0.25), x) == gamma + n_zero + negative + level_2 + second_of_4
    bitmap = SparseDithering(0.25, positions="bitmap")
    assert pattern(bitmap, x) == gamma + "0100" + negative + level_2


def test_the_codes_of_the_zeros_by_hand() -> None:
    # levels 2 and -3: two zeros, two signs, unary; then which two of 4 are no zeros
    c, ranked = SparseDithering(0.1), SparseDithering(0.1, positions="rank")
    for x, subset, rank in (
        ([3.0, 0.0, 0.0, -4.0], "011", "011"),
        ([3.0, 0.0, -4.0, 0.0], "010", "001"),  # [1/6, 2/6) begins with 2/8; C(0, 1) + C(2, 2)
    ):
        start = "10" + "01" + "01" + "001"
        assert pattern(c, x)[31:] == start + subset
        assert pattern(ranked, x)[31:] == start + rank


def test_zero_vector_is_31_zero_bits() -> None:
    assert pattern(SparseDithering(0.1), [0.0] * 9) == "0" * 31


@pytest.mark.parametrize("nu", [1e-3, 0.05, 0.1, 0.3, 0.9])
def test_error_and_bits_keep_their_promises(nu: float) -> None:
    c, bitmap = SparseDithering(nu), SparseDithering(nu, positions="bitmap")
    for d in (1, 2, 3, 7, 14, 100, 1000):
        for x in vectors(d, nu):
            for dtype in (np.float16, np.float32, np.float64):
                narrow = x.astype(dtype)
                message = c.encode(narrow)
                assert relative_error(message.decode(), narrow) <= nu * (1 + SLACK)
                assert message.bits <= c.max_bits(d)
                assert message.bits < bounds.sparse_dithering_bits(nu, d) + 2
                assert message.bits <= bounds.sparse_dithering_worst_bits(nu, d)
                ranked = SparseDithering(nu, positions="rank").encode(narrow)
                assert np.array_equal(ranked.decode(), message.decode())
                assert ranked.bits == message.bits
                same = bitmap.encode(narrow)
                assert np.array_equal(same.decode(), message.decode())
                assert same.bits <= bitmap.max_bits(d)


@pytest.mark.parametrize("d", [10, 14, 100, 1000])
def test_worst_input_costs_what_the_integer_programme_says(d: int) -> None:
    worst = bounds.sparse_dithering_worst_bits(0.1, d)
    direction = bounds.sparse_dithering_worst_input(0.1, d, gamma_slack=1e-8)
    bits = []
    # at d = 14 the worst input needs gamma to lose a little in rounding, which depends on scale
    for scale in np.geomspace(1, 2, 20):
        message = SparseDithering(0.1).encode(scale * direction)
        assert relative_error(message.decode(), scale * direction) <= 0.1 * (1 + SLACK)
        bits.append(message.bits)
    assert max(bits) == worst


@pytest.mark.parametrize(("nu", "dtype"), [(1e-10, "float32"), (1e-8, "float32"), (1e-12, "f8")])
def test_tiny_nu_keeps_both_promises(nu: float, dtype: str) -> None:
    """On vectors that make the rounding of float32 push the error over nu at the first step."""
    c = SparseDithering(nu)
    for d in (18, 200):
        rng = np.random.default_rng(d)
        jittered = np.sign(rng.standard_normal(d)) * (1 + 1e-3 * rng.random(d))
        for x in (jittered, bounds.sparse_dithering_worst_input(nu, d, gamma_slack=1e-7)):
            message = c.encode(x.astype(dtype))
            assert relative_error(message.decode(), x.astype(dtype)) <= nu * (1 + SLACK)
            assert message.bits <= c.max_bits(d)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_rounding_to_a_narrow_type_never_pushes_the_error_over_nu(dtype: torch.dtype) -> None:
    """All levels are cell borders: a finer step is taken wherever rounding adds to the error."""
    finer = 0
    for nu in (1 / 9, 1 / 25, 1 / 49):
        c = SparseDithering(nu)
        for d in (4, 100, 400):
            for value in np.linspace(1, 2, 60):
                x = torch.full((d,), float(value), dtype=dtype)
                message = c.encode(x)
                wide = x.double().numpy()
                assert relative_error(message.decode(), wide) <= nu * (1 + SLACK)
                finer += message.payload[:4] != c.encode(x.float()).payload[:4]
    assert finer > 50  # of 540; which ones hangs on the digits of the values


@pytest.mark.parametrize(("dtype", "nu"), [("float16", 9e-5), ("bfloat16", 6e-3)])
def test_nu_finer_than_the_type_holds_is_refused(dtype: str, nu: float) -> None:
    with pytest.raises(ValueError, match=rf"nu is {nu}: rounding to {dtype} adds 5.\d%"):
        SparseDithering(nu).encode(torch.ones(9, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize("positions", ["subset", "bitmap"])
def test_large_vectors(positions: str) -> None:
    c = SparseDithering(0.1, positions=positions)
    for d in (10_001, (1 << 18) + 5):
        x = np.random.default_rng(d).standard_normal(d).astype(np.float32)
        message = c.encode(x)
        assert message.bits <= c.max_bits(d)
        assert relative_error(decode(message.to_bytes()), x) <= 0.1


@pytest.mark.parametrize("norm_bits", [9, 12, 20])
@pytest.mark.parametrize("nu", [1e-3, 0.1, 0.9])
def test_a_short_gamma_keeps_both_promises(nu: float, norm_bits: int) -> None:
    c = SparseDithering(nu, norm_bits=norm_bits)
    bitmap = SparseDithering(nu, positions="bitmap", norm_bits=norm_bits)
    for d in (1, 3, 14, 1000):
        for x in vectors(d, nu):
            for dtype in (np.float16, np.float32, np.float64):
                narrow = x.astype(dtype)
                message = c.encode(narrow)
                assert relative_error(message.decode(), narrow) <= nu * (1 + SLACK)
                assert message.bits <= c.max_bits(d)
                assert bitmap.encode(narrow).bits <= bitmap.max_bits(d)
                assert message.from_bytes(message.to_bytes()) == message


def test_a_short_gamma_by_hand() -> None:
    # ||x|| = 3: gamma = 2 sqrt(0.25 / 4) 3 = 1.5 has one bit of mantissa, so level 2 as ever
    x = [0.0, -3.0, 0.0, 0.0]
    level_2 = "11" + "1" + "01" + "01"
    assert pattern(SparseDithering(0.25, norm_bits=9), x) == "01111111" + "1" + level_2
    assert pattern(SparseDithering(0.25, norm_bits=31), x) == pattern(SparseDithering(0.25), x)


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e38])
def test_a_short_gamma_at_the_ends_of_the_range(scale: float) -> None:
    c, x = SparseDithering(0.1, norm_bits=10), scale * np.array([1.0, -2.0, 0.5])
    assert relative_error(c(x) / scale, x / scale) <= 0.1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"nu": 0.1, "norm_bits": 8}, "norm_bits is 8; allowed are integers from 9 to 31"),
        ({"nu": 0.0}, "nu is 0.0"),
        ({"nu": -1.0}, "nu is -1.0"),
        ({"nu": 1.0}, "nu is 1.0"),
        ({"nu": math.nan}, "nu is nan"),
        ({"nu": 0.1, "positions": "list"}, "positions is 'list'"),
    ],
)
def test_settings_are_checked(settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SparseDithering(**settings)


def test_random_rounding_asks_for_a_generator() -> None:
    with pytest.raises(TypeError, match=r"rng is None; SparseDithering draws"):
        SparseDithering(0.25, unbiased=True).encode(np.ones(3))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("positions", ["subset", "bitmap"])
def test_narrow_levels_leave_the_bytes_as_they_are(
    monkeypatch: pytest.MonkeyPatch, positions: str, unbiased: bool, dtype: type
) -> None:
    c = SparseDithering(0.1, unbiased=unbiased, positions=positions)
    x = np.random.default_rng(0).standard_normal(5000).astype(dtype)
    narrow = c.encode(x, np.random.default_rng(1)).to_bytes()
    monkeypatch.setattr(sparse_dithering, "_LARGEST_BYTE", 0)
    assert c.encode(x, np.random.default_rng(1)).to_bytes() == narrow


@pytest.mark.parametrize("d", [5760, 6452, 6554, 20_000])
def test_levels_around_what_a_byte_holds(d: int) -> None:
    """One coordinate is all there is: its level is sqrt(d / nu) / 2, here 120, 127, 128 and 223."""
    for scale in np.linspace(1, 4, 50):
        x = np.zeros(d)
        x[d // 2] = 1.0
        x[0] = scale / math.sqrt(d)
        message = SparseDithering(0.1, positions="bitmap").encode(x)
        held = message.decode()
        assert relative_error(held, x) <= 0.1 * (1 + 1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
def test_levels_that_no_integer_holds_are_refused(
    unbiased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2^31 takes 2 * 10^7 coordinates at nu = 10^-12; here 1000 is too much."""
    monkeypatch.setattr(sparse_dithering, "_LARGEST_LEVEL", 1000)
    c, d = SparseDithering(1e-6, unbiased), 100  # a one-hot vector has sqrt(d / nu) / 2 = 5000
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="a level would exceed"):
        c.encode(np.eye(1, d, 7)[0], rng)
    alike = np.ones(d)  # the same norm bound, but levels of 500
    assert relative_error(c(alike, rng), alike) <= c.nu * (1 + SLACK)


def test_messages_encoded_in_threads_have_the_same_bytes() -> None:
    rows = np.random.default_rng(2).standard_normal((16, 20_000)).astype(np.float32)
    c = SparseDithering(0.1)
    alone = [c.encode(x).to_bytes() for x in rows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: c.encode(x).to_bytes(), rows))
        assert together == alone
        held = list(pool.map(lambda x: c(x), rows))
    assert all(np.array_equal(y, c(x)) for x, y in zip(rows, held, strict=True))
