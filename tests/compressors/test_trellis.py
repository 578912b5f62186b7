"""Trellis compression: strict on every vector, within its gap of the bound, safe on any payload."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from awkward import ALPHAS, awkward_vectors, refused_when_damaged, relative_error
from scipy.optimize import brentq

from paper_code import FormatError, Message
from paper_code.coding.bits import BitWriter
from paper_code.compressors.trellis import cells, dealt
from paper_code.compressors.trellis.codes import STATES
from paper_code.compressors.trellis.compression import TrellisCompression
from paper_code.compressors.trellis.rate_control import RateControl
from paper_code.compressors.trellis.search import NEVER, UNIT, Search
from paper_code.compressors.trellis.stretches import (
    WIDTHS,
    Chunk,
    by_columns,
    by_rows,
    quantise,
)
from paper_code.compressors.trellis.tuning import Path as TrellisPath
from paper_code.compressors.trellis.viterbi import search as exhaustive
from paper_code.compressors.trellis.viterbi import ungerboeck_trellis
from paper_code.messages.message import Header, decode
from paper_code.messages.settings import identifier
from paper_code.numerics.simd import LANES


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
    message = TrellisCompression(0.1, states=8).encode(x)
    # kind 2, scale 31, sizes of two classes 3 + 3, kind and name of the model 1 + 15, no raw bit 1,
    # coder
    assert (message.bits, message.payload.hex()) == (89, "5fb55555809ee1ec7194f880")


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


LONG_FRAMES = {
    "13": (
        "d56701128080010d5c8fc2f5285cef3f0800c6037f4b9730014c0496278e8050c84b1691df09be1c719015823e"
        "a4fffce3261c9fcecc2f42fe3e2e66ab5c046827676d2dd41b0ec73f5e2a0e84f01cc2b6",
        "c989e9528f007f77049a997f9e8c35b86266a0e4db88e8406cf58f8418e047e6",
    ),
    "23": (
        "d567011280800117666666666666ee3f0800ce079fcd5b9d003280b1b2200000fea751400504ce660310e676"
        "acf9c76ec3bac27683fcc137d3a2ddaa48a50cd2c6da658a68ec8232d6cba453747a885c60bfefb29b73b6db"
        "99599d1f989a9a50552c0b13d0a35dce44bace8f437b21b2f9a2a6598e348bddbbc9e6dbc16d9c6ece17591c"
        "28c7ea08e5b06922c470c1492297",
        "4c55df2b3db703f43994d2f098dd8c8a2c29c0ae90112d767863b5056628d407",
    ),
    "23, by columns": (
        "d567011280800217666666666666ee3f08008802e2010922c0053283a099510a50f00914001837fff000"
        "1a38305ab3bc448a9833516c9ecbbe",
        "e72dd23159131974e0f63814e8b1a33af6b42f8636ff6b789a675e1d94aa5787",
    ),
    "23, few states": (
        "d567011280800217cdccccccccccec3f40009205c60141b8c002f20bbf69000003d7fff01e93ed8a6389"
        "67230084217ab68fb6c07c8cb5d9c9e8dc878084217ab68fb6c07c8cb5d9c9e8dc87807f41da346b21bf"
        "443dfbe8fc558d4578c909dbbdddb03e3fc3808ba32abb",
        "bfa269206ed4e8a8daaf33af5a2e3a8ff6c5a43e06d8976ba14228cb91a57cac",
    ),
    "23, cells": (
        "d567011280800117333333333333d33f4000f105f83f5dea3b003a0effad60a4d23007ebf005f5a1aa8d"
        "e24a7fa865e13a1e4e962506f6fa695db47e1b8b440c03e75d45f65dac44c5426b4932e235c1654b65a2"
        "31b65b46268fa4119d86ec25651c0048aca519d605be84c2db807b29f0ae80715b4163",
        "efb5cb58ad28372e1fb4ce7fa9fcfa8571b330c7b4cc805fd1cb29969a465fcc",
    ),
}
"""Frames of long vectors by wire identifier, and the SHA-256 of what they decode to."""


@pytest.mark.parametrize("name", LONG_FRAMES)
def test_long_frames_decode_for_ever(name: str) -> None:
    frame, digest = LONG_FRAMES[name]
    message = Message.from_bytes(bytes.fromhex(frame))
    assert identifier(message.compressor) == int(name[:2])
    assert hashlib.sha256(message.decode()).hexdigest() == digest
    assert message.to_bytes().hex() == frame


@pytest.mark.parametrize("name", LONG_FRAMES)
def test_damaged_long_payloads_are_refused_or_decode_to_another_vector(name: str) -> None:
    """The kernels do not look for the end of what they read."""
    message = Message.from_bytes(bytes.fromhex(LONG_FRAMES[name][0]))
    refused = 0
    for bit in range(0, message.bits, 3):
        payload = bytearray(message.payload)
        payload[bit // 8] ^= 0x80 >> bit % 8
        try:
            damaged = replace(message, payload=bytes(payload)).decode()
            assert damaged.size == message.header.d
        except FormatError:
            refused += 1
    assert refused > message.bits / 6  # half of those tried; most are, where words are damaged


def test_identifier_13_is_read_only() -> None:
    old = Message.from_bytes(bytes.fromhex(LONG_FRAMES["13"][0])).compressor
    with pytest.raises(ValueError, match="are only read"):
        old.encode(np.ones(3))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["normal", "cauchy", "far out", "blocks", "constant", "one-hot"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_strict_on_vectors_of_several_chunks(name: str, dtype: str) -> None:
    d, rng = (1 << 16) + 12_345, np.random.default_rng(8)
    normal = rng.standard_normal(d)
    x = {
        "normal": normal,
        "cauchy": np.clip(rng.standard_cauchy(d), -3e4, 3e4),
        "far out": normal + 1000 * np.eye(1, d, 70_000)[0],  # its levels are escaped
        "blocks": normal * np.repeat(10.0 ** np.array([-3, 1, -1, 0]), -(-d // 4))[:d],
        "constant": np.ones(d),
        "one-hot": np.eye(1, d, 77)[0],
    }[name].astype(dtype)
    for alpha in (0.01, 0.3, 0.9, 0.99):
        held = decode(TrellisCompression(alpha).encode(x).to_bytes())
        assert held.dtype == x.dtype
        assert relative_error(held, x) <= alpha * (1 + 1e-12)


@pytest.mark.parametrize("alpha", [0.1, 0.5])
@pytest.mark.parametrize("last", [0.0, 1e-30])
def test_a_last_chunk_without_energy(alpha: float, last: float) -> None:
    """What is left of the error, over next to none that it is expected to take, is no number."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1 << 16) * np.repeat(np.exp(2 * rng.standard_normal(1024)), 64)
    x = np.append(x, last)
    assert relative_error(TrellisCompression(alpha)(x), x) <= alpha


def test_models_follow_the_vector_by_chunk() -> None:
    """Half of it a thousand times smaller: at error 1/10 that half takes next to no bits."""
    x = np.random.default_rng(9).standard_normal(1 << 17).astype(np.float32)
    whole = TrellisCompression(0.1).encode(x).bits
    x[1 << 16 :] *= 1e-3
    assert TrellisCompression(0.1).encode(x).bits < 0.52 * whole


@pytest.mark.parametrize("size", [1, 63, 64, 1000, 4096 + 17])
def test_columns_and_rows_are_inverse(size: int) -> None:
    x = np.arange(size)
    for width in WIDTHS:
        assert np.array_equal(by_rows(by_columns(x, width), width), x)
    assert by_columns(np.arange(64 * 3 + 1), 64)[:4].tolist() == [0, 64, 128, 1]


def inputs_mostly_silent() -> np.ndarray:
    """A layer of 256 inputs, 32 of which speak: rows are alike, neighbours are not."""
    rng = np.random.default_rng(16)
    x = rng.standard_normal((300, 256)) * np.where(rng.random(256) < 1 / 8, 1, 0.02)
    return x.ravel().astype(np.float32)


@pytest.mark.parametrize("states", [8, 64])
def test_a_layer_with_silent_inputs_is_read_by_columns(states: int) -> None:
    """As in the transpose, where equal inputs are beside each other anyway."""
    x, c = inputs_mostly_silent(), TrellisCompression(0.5, states)
    message, held = c.encode_and_decode(x)
    assert relative_error(held, x) <= 0.5
    assert np.array_equal(Message.from_bytes(message.to_bytes()).decode(), held)
    columns = c.encode(np.ascontiguousarray(x.reshape(300, 256).T.ravel())).bits
    shuffled = c.encode(np.random.default_rng(17).permutation(x)).bits
    assert columns < 0.6 * shuffled  # else there is nothing to find
    assert message.bits < 0.85 * shuffled


def rows_of_four_scales(d: int) -> np.ndarray:
    """As the weights of a layer whose units learn at different speeds, 256 inputs each."""
    rng = np.random.default_rng(18)
    scales = 4.0 ** rng.integers(-3, 1, -(-d // 256))
    return (rng.standard_normal(d) * np.repeat(scales, 256)[:d]).astype(np.float32)


@pytest.mark.parametrize("d", [1 << 14, (1 << 16) + 1, 3 * (1 << 16) + 12_345])
@pytest.mark.parametrize("alpha", [0.001, 0.01])
def test_models_follow_the_vector_by_cells(d: int, alpha: float) -> None:
    """Near what normal coordinates of those scales need at least, by reverse water-filling.

    One model for all takes .26 to .33 bit more than that. Normal coordinates of one scale take .05;
    the map, its models and a short vector have the rest.
    """
    x, c = rows_of_four_scales(d), TrellisCompression(alpha)
    message, held = c.encode_and_decode(x)
    assert relative_error(held, x) <= alpha
    assert np.array_equal(Message.from_bytes(message.to_bytes()).decode(), held)
    energies = np.repeat(np.square(x[: d // 256 * 256].reshape(-1, 256)).mean(1), 256)
    total = alpha * energies.mean()
    water = brentq(lambda w: np.minimum(energies, w).mean() - total, 0, energies.max())
    least = 0.5 * np.log2(np.maximum(energies / water, 1)).sum()
    assert message.bits <= least + 0.11 * d


@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_fast_searches_once(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """And keeps its word, in more bits: the others find the cells."""
    x, runs, run = rows_of_four_scales(1 << 17), [], RateControl.run
    monkeypatch.setattr(RateControl, "run", lambda *given: runs.append(given) or run(*given))
    message = (c := TrellisCompression(alpha, search="fast")).encode(x)
    assert len(runs) == 1
    assert relative_error(decode(message.to_bytes()), x) <= alpha
    assert Message.from_bytes(message.to_bytes()).compressor == c
    assert TrellisCompression(alpha).encode(x).bits < 0.95 * message.bits
    with pytest.raises(ValueError, match="search is 'slow'; allowed are 'thorough' and 'fast'"):
        TrellisCompression(alpha, search="slow")


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5, 0.9])
def test_alike_coordinates_have_no_cells(alpha: float) -> None:
    """Else a normal vector would be searched twice for nothing."""
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal(1 << 16).astype(np.float32)
        control = RateControl(x, float(np.sum(x.astype(np.float64) ** 2)), 8)
        control.run(alpha)
        assert not cells.would_save(control.chunks[0], control.done[0])


def test_cheap_levels_of_the_wrong_sign_are_no_path() -> None:
    """Coordinates of one sign, nearly alike: with bits dear enough all may get the level -1."""
    rng, alpha = np.random.default_rng(12), 0.3
    x = np.where(rng.random(16_714) < 0.9, 0.7, rng.uniform(0, 1, 16_714))
    assert relative_error(TrellisCompression(alpha, 8)(x), x) <= alpha
    wrong = TrellisPath(np.array([-2, -2], np.int32), np.zeros((3, 64), np.int64), -4.0, 8.0)
    assert wrong.explained == 0


def test_fine_levels_are_not_escaped() -> None:
    """At error 10^-6 most levels are beyond the symbols of the long payload; it is not sent.

    What is has 8 states, .075 bit above the bound, and as much again for a model of 8,000 levels.
    """
    x = np.random.default_rng(13).standard_normal(1 << 15).astype(np.float32)
    assert TrellisCompression(1e-6).encode(x).bits <= (0.5 * math.log2(1e6) + 0.15) * x.size


def test_of_few_bits_the_cheaper_payload_is_sent() -> None:
    """In 64 stretches with a model for each chunk, or dealt out with one for all."""
    x = np.zeros(70_001, np.float32)
    x[::91] = np.random.default_rng(14).standard_normal(770)
    first, energy, header = BitWriter(), float(np.sum(x**2)), Header(x.shape, "float32")
    dealt.write(first, x, energy, 0.785, 8, False, header)
    message = TrellisCompression(0.785).encode(x)
    assert message.bits <= first.bits + 2
    assert relative_error(message.decode(), x) <= 0.785 * (1 + 1e-6)


@pytest.mark.parametrize("states", STATES)
def test_a_path_goes_through_the_trellis_and_is_the_best(states: int) -> None:
    """Against the first search, with rates for which both have the same costs, but rounded."""
    steps, step, rng = 200, 0.5, np.random.default_rng(10)
    y = rng.standard_normal(steps * LANES).astype(np.float32)
    rates = np.zeros((12, LANES), np.float32)
    rates[[2, 6, 10]], rates[8] = 2 * UNIT, NEVER  # two bits for each unit of |n|
    search = Search(states, steps)
    weight = np.float32(8 * UNIT)
    start = np.zeros(LANES, np.uint32)
    wide = np.full(LANES, 1 / step, np.float32), np.full(LANES, weight)
    search.run(y, *wide, rates.reshape(-1), start)
    ends, _ = search.best()
    branches = np.empty(y.size, np.uint8)
    search.trace(0, steps, ends, branches)
    assert not ends.any()  # it leads back to where it began
    chunk = Chunk(0, y.size, steps)
    path, counts = np.empty(y.size, np.int32), np.zeros((3, 256), np.int64)
    units = np.float32(1 / step), weight, rates.reshape(-1)
    quantise(y, branches, *units, y.size, chunk.steps, path, counts)
    n = (path >> 2).reshape(steps, LANES)
    trellis, state = ungerboeck_trellis(states), np.zeros(LANES, np.int64)
    for row in n:
        assert np.array_equal(row & 1, state & 1)
        state = trellis.next_state[state, row >> 1 & 1]
    best, table = np.empty(y.size, np.int32), 2.0 * np.arange(64) * np.ones((3, 1))
    tally = np.zeros((LANES, 3, 64), np.int64)
    given = (np.full(LANES, 1 / step), np.full(LANES, 8.0), table)
    exhaustive(y.astype(np.float64), *given, trellis, False, tally, best)
    ours, least = cost_of(y / step, n.ravel()), cost_of(y / step, best)
    assert least <= ours <= least + 2 * y.size / UNIT * 0.02  # bits; rounding is to 1/64, both ways


def cost_of(y: np.ndarray, n: np.ndarray) -> float:
    """What a path costs in the test above."""
    return float(np.sum(8 * (y - n) ** 2 + 2 * np.abs(n)))
