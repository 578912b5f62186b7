"""Trellis compression: strict on every vector, within its gap of the bound, safe on any payload."""

import math

import numpy as np
import pytest
from awkward import ALPHAS, awkward_vectors, refused_when_damaged, relative_error

from paper_code.compressors.trellis.codes import STATES
from paper_code.compressors.trellis.compression import TrellisCompression
from paper_code.compressors.trellis.viterbi import ungerboeck_trellis
from paper_code.messages.message import decode


def gap(frame: bytes, d: int, alpha: float) -> float:
    """Bits per coordinate, frame and all, above the bound."""
    return 8 * len(frame) / d - 0.5 * math.log2(1 / alpha)


def test_strict_on_awkward_vectors() -> None:
    for i, x in enumerate(awkward_vectors(252, seed=11)):
        alpha = ALPHAS[i % len(ALPHAS)]
        held = decode(TrellisCompression(alpha).encode(x).to_bytes())
        assert held.dtype == x.dtype
        assert relative_error(held, x) <= alpha * (1 + 1e-12), (i, x.size, alpha)


@pytest.mark.parametrize(
    ("alpha", "states", "most"),
    # gaps at d = 2**20 are .075, .075, .078, .025, .055, .035; header and lanes cost .003 at 2**16
    [
        (0.05, 8, 0.085),
        (0.2, 8, 0.085),
        (0.5, 8, 0.085),
        (0.9, 8, 0.035),
        (0.1, 32, 0.065),
        (0.1, 256, 0.050),
    ],
)
def test_gap_to_the_bound(alpha: float, states: int, most: float) -> None:
    x = np.random.default_rng(1).standard_normal(1 << 16).astype(np.float32)
    frame = TrellisCompression(alpha, states).encode(x).to_bytes()
    assert 0.998 <= relative_error(decode(frame), x) / alpha <= 1
    assert gap(frame, x.size, alpha) <= most


@pytest.mark.parametrize(
    "name", ["one-hot", "constant", "zeros and a few", "huge range", "heavy tails", "sorted"]
)
def test_strict_on_long_vectors(name: str) -> None:
    d, rng = 1 << 14, np.random.default_rng(2)
    x = {
        "one-hot": np.eye(1, d, 77)[0],
        "constant": np.ones(d),
        "zeros and a few": rng.standard_normal(d) * (rng.random(d) < 1e-3),
        "huge range": rng.standard_normal(d) * np.exp(rng.uniform(-20, 20, d)),
        "heavy tails": rng.standard_t(1.2, d),
        "sorted": np.sort(rng.standard_normal(d)),
    }[name]
    for alpha in (0.01, 0.1, 0.9, 0.99):
        held = decode(TrellisCompression(alpha).encode(x).to_bytes())
        assert relative_error(held, x) <= alpha


@pytest.mark.parametrize("x", [[2.0], [1.0, 0, 0, 0], [2.0, 1, 0, 0, 0, 0]])
def test_unbiased(x: list[float]) -> None:
    x, alpha, runs, rng = np.array(x), 0.2, 400, np.random.default_rng(3)
    c = TrellisCompression(alpha, unbiased=True)
    assert c.guarantee(x.size).omega == 0.25
    errors = np.array([c(x, rng) for _ in range(runs)]) - x
    assert np.all(np.sum(errors**2, 1) <= 0.25 * np.sum(x**2) * (1 + 1e-6))
    # 5 standard errors of 11 means, each an error of at most that spread: false alarm < 1e-5
    assert np.all(np.abs(errors.mean(0)) <= 5 * errors.std(0) / math.sqrt(runs) + 1e-7)


def test_unbiased_rate_at_a_quarter() -> None:
    rng = np.random.default_rng(4)
    x = rng.laplace(size=1 << 16).astype(np.float32)
    message = TrellisCompression(0.2, unbiased=True).encode(x, rng)
    assert relative_error(message.decode(), x) <= 0.25 * (1 + 1e-6)
    assert 8 * len(message.to_bytes()) / x.size <= 1.26


def test_pinned_frame() -> None:
    x = np.array([3.0, -4.0, 0.1, 0.0, 2.5], np.float32)
    message = TrellisCompression(0.1).encode(x)
    # kind 2, scale 31, sizes of two classes 3 + 3, kind and name of the model 1 + 15, no raw bit 1,
    # coder
    assert (message.bits, message.payload.hex()) == (90, "5fa55555809be1b036ae0e00")


@pytest.mark.parametrize("states", STATES)
def test_every_state_has_two_branches_in_and_two_out(states: int) -> None:
    trellis = ungerboeck_trellis(states)
    reached = np.sort(trellis.next_state.ravel())
    assert np.array_equal(reached, np.repeat(np.arange(states), 2))
    for s in range(states):
        for i in (0, 1):
            before, branch = trellis.before[s, i], trellis.branch[s, i]
            assert trellis.next_state[before, branch & 1] == s
            assert trellis.state_class[before] == branch >> 1


def test_zero_and_shapes() -> None:
    c = TrellisCompression(0.1)
    assert c.encode(np.zeros((2, 3))).bits == 2
    assert np.array_equal(c(np.zeros(1 << 14)), np.zeros(1 << 14))
    assert np.allclose(c(np.ones((2, 3))), np.ones((2, 3)), atol=math.sqrt(0.6))


def test_same_bytes_again() -> None:
    x = np.random.default_rng(5).standard_t(3, 40_000)
    c = TrellisCompression(0.1)
    assert c.encode(x).to_bytes() == c.encode(x.copy()).to_bytes()


def test_damaged_payloads_are_refused_or_decode_to_another_vector() -> None:
    c = TrellisCompression(0.1)
    refused = refused_when_damaged(c, (3, 50, 20_000), seed=6, times=60, reach=40)
    assert refused > 60  # of 180; one seed


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": 0.1, "states": 12}])
def test_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="allowed are"):
        TrellisCompression(**settings)


@pytest.mark.parametrize("unbiased", [False, True])
def test_an_encoder_knows_what_long_vectors_decode_to(unbiased: bool) -> None:
    """Bit for bit; the laws say it of short ones."""
    x = np.random.default_rng(4).standard_normal(40_001).astype(np.float32)
    c = TrellisCompression(0.3, unbiased=unbiased)
    message, known = c.encode_and_decode(x, np.random.default_rng(0))
    assert known.tobytes() == message.decode().tobytes()
