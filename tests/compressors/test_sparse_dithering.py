"""Sparse Dithering: its guarantee, its bits against the paper's bound, and its bit strings."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from awkward import relative_error

from paper_code import SparseDithering, bounds, decode
from paper_code.coding import codes
from paper_code.compressors import sparse_dithering

NUS = [1e-3, 0.05, 0.1, 0.3, 0.9]
DIMS = [1, 2, 3, 7, 14, 100, 1000]


def vectors(d: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng([d, seed])
    one_hot = np.zeros(d)
    one_hot[d // 2] = -3.0
    return [
        rng.standard_normal(d),
        rng.standard_t(3, d),
        rng.standard_normal(d) * (rng.random(d) < 0.05) + one_hot,
        one_hot,
        np.ones(d),
        2.0 ** -np.arange(d, dtype=float).clip(max=90),
    ]


def pattern(c: SparseDithering, x: list[float]) -> str:
    message = c.encode(np.array(x, np.float32))
    return "".join(f"{byte:08b}" for byte in message.payload)[: message.bits]


def test_bit_string_by_hand() -> None:
    # ||x|| = 4, h = sqrt(0.25/4) = 1/4: gamma = 2; levels 1 (3.4/2 -> 2)... see each part
    x = [0.0, -4.0, 0.0, 0.0]
    gamma = f"{np.float32(2.0).view(np.uint32):031b}"
    n_zero, negative, level_2, subset_of_4 = "11", "1", "01", "01"
    assert pattern(SparseDithering(0.25), x) == gamma + n_zero + negative + level_2 + subset_of_4
    bitmap = SparseDithering(0.25, positions="bitmap")
    assert pattern(bitmap, x) == gamma + "0100" + negative + level_2


def test_zero_vector_is_31_zero_bits() -> None:
    assert pattern(SparseDithering(0.1), [0.0] * 9) == "0" * 31


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("nu", NUS)
@pytest.mark.parametrize("d", DIMS)
def test_error_and_bits_keep_their_promises(d: int, nu: float, dtype: type) -> None:
    for x in vectors(d):
        x = x.astype(dtype)
        c = SparseDithering(nu)
        message = c.encode(x)
        assert relative_error(message.decode(), x) <= nu * (1 + 1e-6)
        assert message.bits <= c.max_bits(d)
        assert message.bits < bounds.sparse_dithering_bits(nu, d) + 2
        assert message.bits <= bounds.sparse_dithering_worst_bits(nu, d)
        bitmap = SparseDithering(nu, positions="bitmap").encode(x)
        assert np.array_equal(bitmap.decode(), message.decode())
        assert bitmap.bits <= bitmap.compressor.max_bits(d)


@pytest.mark.parametrize("d", [10, 14, 100, 1000])
def test_worst_input_costs_what_the_integer_programme_says(d: int) -> None:
    worst = bounds.sparse_dithering_worst_bits(0.1, d)
    direction = bounds.sparse_dithering_worst_input(0.1, d, gamma_slack=1e-8)
    bits = []
    # at d = 14 the worst input needs gamma to lose a little in rounding, which depends on scale
    for scale in np.geomspace(1, 2, 20):
        message = SparseDithering(0.1).encode(scale * direction)
        assert relative_error(message.decode(), scale * direction) <= 0.1 * (1 + 1e-6)
        bits.append(message.bits)
    assert max(bits) == worst


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("nu", NUS)
def test_vectors_on_the_thresholds_keep_the_guarantee(nu: float, dtype: str) -> None:
    """Every coordinate halfway between two levels: the largest error there is."""
    for d in (2, 14, 999):
        half_step = math.sqrt(nu / d)
        count = min(d, int(1 / (nu / d) / 9))  # so many at 3 h, the rest share what is left
        x = np.full(d, half_step * 0.999999)
        x[:count] = 3 * half_step
        for scale in (1.0, 1 - 1e-7, 1 + 1e-7):
            y = (x * scale).astype(dtype)
            assert relative_error(SparseDithering(nu)(y), y) <= nu * (1 + 1e-6)


@pytest.mark.parametrize(
    ("dtype", "nu"), [("float32", 1e-10), ("float32", 1e-8), ("float64", 1e-12)]
)
@pytest.mark.parametrize("d", [18, 200])
def test_tiny_nu_keeps_both_promises(dtype: str, nu: float, d: int) -> None:
    """On vectors that make the rounding of float32 push the error over nu at the first step."""
    rng = np.random.default_rng(d)
    jittered = np.sign(rng.standard_normal(d)) * (1 + 1e-3 * rng.random(d))
    for x in (jittered, bounds.sparse_dithering_worst_input(nu, d, gamma_slack=1e-7)):
        c = SparseDithering(nu)
        message = c.encode(x.astype(dtype))
        assert relative_error(message.decode(), x.astype(dtype)) <= nu * (1 + 1e-6)
        assert message.bits <= c.max_bits(d)


@pytest.mark.parametrize(("dtype", "nu"), [("float16", 9e-5), ("bfloat16", 6e-3)])
def test_nu_finer_than_the_type_holds_is_refused(dtype: str, nu: float) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=rf"nu is {nu}: rounding to {dtype} adds 5.\d%"):
        SparseDithering(nu).encode(torch.ones(9, dtype=getattr(torch, dtype)))


def test_bits_are_the_sum_of_their_parts() -> None:
    x = np.random.default_rng(3).standard_normal(500)
    message = SparseDithering(0.1).encode(x)
    held = message.decode()
    gamma = np.min(np.abs(held[held != 0]))
    gamma /= round(gamma / (2 * math.sqrt(0.1 / 500) * np.linalg.norm(x)))
    levels = np.rint(np.abs(held) / gamma)
    n_zero = int(np.sum(levels == 0))
    assert message.bits == (
        31 + 9 + codes.subset_bits(500, n_zero) + (500 - n_zero) + int(levels.sum())
    )


@pytest.mark.parametrize("d", [1, 5, 200])
def test_unbiased_mean_and_variance(d: int) -> None:
    """Each statement at 5 standard errors, 6 vectors: false alarm below 1e-5 in all."""
    omega, repeats = 0.25, 3000
    c = SparseDithering(omega, unbiased=True)
    rng = np.random.default_rng(11)
    for x in vectors(d):
        draws = np.array([c(x, rng) for _ in range(repeats)])
        errors = np.sum((draws - x) ** 2, axis=1) / np.sum(x**2)
        spread = errors.std() / math.sqrt(repeats) + 1e-12
        assert errors.mean() <= omega + 5 * spread
        # along one fixed random direction, so that one statement is made for all coordinates
        along = (draws - x) @ np.random.default_rng(1).standard_normal(d)
        slack = 1e-7 * np.linalg.norm(x)  # gamma is float32, its multiples are exact in float64
        assert abs(along.mean()) <= 5 * along.std() / math.sqrt(repeats) + slack


@pytest.mark.parametrize("d", [14, 1000])
@pytest.mark.parametrize("omega", [0.1, 0.25, 2.0])
def test_unbiased_mean_bits(d: int, omega: float) -> None:
    """Mean bits below the promise by 5 standard errors: false alarm below 1e-5."""
    c, rng = SparseDithering(omega, unbiased=True), np.random.default_rng(5)
    for x in vectors(d):
        bits = np.array([c.encode(x, rng).bits for _ in range(200)])
        assert bits.mean() <= c.expected_bits(d) + 5 * bits.std() / math.sqrt(200)


@pytest.mark.parametrize("positions", ["subset", "bitmap"])
@pytest.mark.parametrize("d", [10_001, (1 << 18) + 5])
def test_large_vectors(d: int, positions: str) -> None:
    x = np.random.default_rng(d).standard_normal(d).astype(np.float32)
    c = SparseDithering(0.1, positions=positions)
    message = c.encode(x)
    assert message.bits <= c.max_bits(d)
    assert relative_error(decode(message.to_bytes()), x) <= 0.1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
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


def test_messages_encoded_in_threads_have_the_same_bytes() -> None:
    rows = np.random.default_rng(2).standard_normal((16, 20_000)).astype(np.float32)
    c = SparseDithering(0.1)
    alone = [c.encode(x).to_bytes() for x in rows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: c.encode(x).to_bytes(), rows))
        assert together == alone
        held = list(pool.map(lambda x: c(x), rows))
    assert all(np.array_equal(y, c(x)) for x, y in zip(rows, held, strict=True))
