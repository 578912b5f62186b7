"""Messages: any array in, the same kind out, bytes that another process understands."""

import numpy as np
import pytest

from paper_code import FormatError, Identity, Message, SparseDithering, TopK, decode

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)


def test_gradient_tensors_are_accepted() -> None:
    x = torch.ones(4, requires_grad=True)
    assert not Identity()(x).requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_identity_loses_nothing_at_any_magnitude(dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.array([info.max, info.tiny, info.smallest_subnormal, -0.0, -1.0], dtype)
    assert Identity()(x).tobytes() == x.tobytes()
    assert Identity().encode(x).bits == 5 * info.bits


def test_top_k_keeps_the_largest_and_ties_go_to_the_lower_index() -> None:
    x = np.array([1.0, -3.0, 3.0, 3.0, 0.5], np.float32)
    message = TopK(2).encode(x)
    assert message.decode().tolist() == [0.0, -3.0, 3.0, 0.0, 0.0]
    assert message.bits == 2 * 32 + 4  # C(5, 2) = 10 subsets


@pytest.mark.parametrize("c", [SparseDithering(0.1), SparseDithering(0.1, positions="bitmap")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_magnitudes_keep_the_guarantee_or_are_refused(
    c: SparseDithering, dtype: str
) -> None:
    info = np.finfo(dtype)
    z = RNG.standard_normal(20)
    for exponent in range(info.minexp - info.nmant, info.maxexp, 3):
        with np.errstate(over="ignore"):
            x = np.ldexp(z, exponent).astype(dtype)
        if not np.all(np.isfinite(x)) or not np.any(x):
            continue
        scale = float(np.max(np.abs(x)))
        try:
            held = c(x)
        except ValueError as error:
            assert scale < 2**8 * info.tiny or scale > info.max / 4, "refused without need"
            assert f"{scale:g}" in str(error)
            continue
        a, b = x.astype(np.float64) / scale, held.astype(np.float64) / scale
        assert np.sum((a - b) ** 2) <= 0.1 * np.sum(a**2) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("x", "error", "named"),
    [
        ([1.0, np.nan], ValueError, r"x\[1\].* is nan"),
        ([[1.0], [-np.inf]], ValueError, r"x\[1\].* is -inf"),
        ([], ValueError, "x is empty"),
        ([1j], TypeError, "complex128"),
        (["a"], TypeError, "allowed are float16"),
        ([True], TypeError, "bool"),
        (None, TypeError, "object"),
    ],
)
def test_bad_input_is_named(x: object, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        Identity().encode(x)


def test_a_message_of_another_compressor_is_refused() -> None:
    message = Identity().encode(np.ones(3))
    with pytest.raises(ValueError, match=r"message is of Identity\(\)"):
        TopK(1).decode(message)


def test_integers_lists_and_numbers_are_accepted() -> None:
    assert Identity()([1, 2]).tolist() == [1.0, 2.0]
    assert Identity()(3.5).shape == ()


def test_unread_bits_are_refused() -> None:
    message = Identity().encode(np.ones(3, np.float32))
    longer = Message(message.compressor, message.header, message.payload + b"\0", message.bits + 8)
    with pytest.raises(FormatError, match="8 bits are left"):
        longer.decode()


def test_a_tensor_with_a_negative_bit_is_the_numbers_that_it_shows() -> None:
    x = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert x.is_neg()
    assert Identity()(x).tolist() == [-2, 4]


def test_integers_are_exact_or_refused() -> None:
    exact = np.array([2**53, 7], np.uint64)
    assert Identity()(exact).tolist() == [2**53, 7]
    for x in (np.array([[7, 2**53 + 1]], np.uint64), [7, -(2**53) - 1]):
        with pytest.raises(ValueError, match=r"x\[1\] \(flat index\) is -?\d+; integers travel as"):
            Identity().encode(x)


def test_a_masked_array_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="x is a masked array; send"):
        Identity().encode(np.ma.masked_greater([1.0, 9.0], 5))


@pytest.mark.parametrize(
    "out", [np.zeros(3), np.zeros(4, np.float32), np.zeros(8)[::2], [0.0] * 4, np.zeros((2, 2))]
)
def test_a_place_that_values_do_not_fit_is_refused(out: object) -> None:
    """Kernels write to it without looking for its end."""
    for c in (Identity(), SparseDithering(0.1), TopK(2)):
        with pytest.raises(ValueError, match=r"out is .*; allowed is a contiguous array of shape"):
            c.encode_and_decode(np.ones(4), out=out)
        (held := np.zeros(4)).flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            c.encode_and_decode(np.ones(4), out=held)
        with pytest.raises(ValueError, match="in the memory of x"):
            c.encode_and_decode(x := np.ones(4), out=x)


@pytest.mark.parametrize("x", [[1.0] * 4, np.ones(4, np.float16), np.ones(8)[::2], np.arange(4)])
def test_a_rest_is_left_in_arrays_that_can_hold_it(x: object) -> None:
    for c in (Identity(), SparseDithering(0.1), TopK(2)):
        with pytest.raises(ValueError, match=r"x is .*; to leave the rest in it, it must be"):
            c.encode_and_decode(x, leave_rest=True)
        (fixed := np.ones(4)).flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            c.encode_and_decode(fixed, leave_rest=True)
        with pytest.raises(ValueError, match="must be finite"):
            c.encode_and_decode(bad := np.array([1.0, np.nan]), leave_rest=True)
        assert bad[0] == 1


@pytest.mark.parametrize("data", [None, "frame", 7, [1, 2]])
def test_what_is_no_bytes_is_refused_by_name(data: object) -> None:
    with pytest.raises(TypeError, match=f"data is a {type(data).__name__}; allowed are the bytes"):
        decode(data)


def test_any_bytes_will_do() -> None:
    data = Identity().encode(X := np.array([1.0, 2.0])).to_bytes()
    for kind in (bytes, bytearray, memoryview):
        assert np.array_equal(decode(kind(data)), X)


def test_the_encoder_refuses_what_every_decoder_would() -> None:
    """Levels of 500,000 for each coordinate, 5e9 bits in unary: refused before they are written."""
    with pytest.raises(ValueError, match="payload exceeds 4294967296 bits, which no decoder"):
        SparseDithering(1e-12).encode(np.ones(10_000))
