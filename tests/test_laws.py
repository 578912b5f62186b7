"""Every compressor on one list obeys every law, and the laws catch those that cheat."""

import math

import laws
import numpy as np
import pytest
import torch
from laws import Array
from laws_cases import CASES
from laws_cheats import (
    Boasting,
    Cautious,
    FalselyUnbiased,
    Flattering,
    Overrunning,
    Peeking,
    Stale,
    StrictlyBoasting,
    UnderReporting,
    WithReplacement,
)

from paper_code import Compressor

D = 40  # large enough for every case, small enough for many messages


def _vectors() -> dict[str, Array]:
    rng = np.random.default_rng(1)
    sparse = np.zeros(D, np.float32)
    sparse[[3, 17, 30, 31]] = 1, -2, 0.5, 4
    spiky = np.full(D, 1 / (1 + math.sqrt(D)))  # the worst case of ternary
    spiky[7] = -1
    return {
        "gaussian": rng.standard_normal(D).astype(np.float32),
        "heavy tails": rng.standard_t(2, D),
        "one-hot": np.eye(D, dtype=np.float32)[5],
        "constant": np.full(D, -4 / 3),  # the worst case of natural compression and of dithering
        "sparse": sparse,
        "spiky": spiky,
        "wide range": (10.0 ** np.linspace(-12, 12, D)).astype(np.float32),
        "two": np.array([2.0, 1.0], np.float32),
        "single": np.array([-math.pi]),
    }


def _arrays() -> dict[str, Array]:
    """Element types, shapes, and sizes past each change of code or rotation."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((8, 5))
    return {
        "float16": x.astype(np.float16),
        "float32 matrix": x.astype(np.float32),
        "float64 strided": rng.standard_normal((16, 10))[::2, ::2],
        "float32 transposed": x.astype(np.float32).T,
        "torch bfloat16": torch.tensor(x).to(torch.bfloat16),
        "torch float32": torch.tensor(x).float(),
        "huge": (x * 1e30).astype(np.float32),
        "tiny": x * 1e-250,
        "power of two": rng.standard_normal(128).astype(np.float32),
        "thousand": rng.standard_normal(1000).astype(np.float32),
        "long and sparse": rng.standard_normal(10_007) * (rng.random(10_007) < 0.01),
    }


VECTORS, ARRAYS = _vectors(), _arrays()
EVEN = np.r_[1, np.full(D - 1, 2 / 3)]  # ternary levels -1, 0, 1 as likely as each other
SCALED = ("huge", "tiny")  # an exponent travels with them
FEW = ("gaussian", "one-hot", "float32 matrix")  # where the kind of array tells nothing new


def accepted(c: Compressor, arrays: dict[str, Array]) -> dict[str, Array]:
    """Those whose number of coordinates ``c`` takes; a refusal names what is too large."""
    taken = {}
    for name, x in arrays.items():
        try:
            c.encode(x, np.random.default_rng(0))
        except ValueError as refusal:
            assert str(refusal).startswith(("k is", "alpha is")), refusal
        else:
            taken[name] = x
    assert len(taken) > len(arrays) / 2
    return taken


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_201_003)


@pytest.mark.parametrize("c", CASES, ids=repr)
def test_messages(c: Compressor, rng: np.random.Generator) -> None:
    for name, x in accepted(c, VECTORS | ARRAYS).items():
        laws.round_trip(c, x, rng)
        if name in FEW:
            laws.repeatable(c, x, seed=3)
            laws.zero_is_sent(c, x, rng)
            laws.nonces_are_fresh(c, x, rng)
        if name in (*FEW, *SCALED):
            laws.leaves_the_rest(c, x, seed=3)


@pytest.mark.parametrize("c", CASES, ids=repr)
def test_promises(c: Compressor, rng: np.random.Generator) -> None:
    """About 1 600 comparisons at 6e-7: the false alarm of all of them together is 1e-3."""
    for x in accepted(c, VECTORS).values():
        laws.bits_within_promise(c, x, rng)
        laws.error_within_guarantee(c, x, rng)
        laws.unbiased_if_claimed(c, x, rng)
    for name in ("float16", "torch bfloat16", *SCALED):
        laws.error_within_guarantee(c, ARRAYS[name], rng)
    laws.promise_is_near(c, [VECTORS["gaussian"], VECTORS["constant"], EVEN], rng)


def test_another_process_decodes_alike(rng: np.random.Generator) -> None:
    laws.decodes_from_bytes_alone(
        [c.encode(ARRAYS[name], rng) for c in CASES for name in ("float16", "huge")]
    )


GAUSSIAN = VECTORS["gaussian"]


def test_a_decoder_that_peeks_is_caught(rng: np.random.Generator) -> None:
    laws.round_trip(Peeking(), GAUSSIAN, rng)  # within the process nobody could tell
    with pytest.raises(AssertionError, match="something else"):
        laws.decodes_from_bytes_alone([Peeking().encode(GAUSSIAN)])


def test_an_encoder_that_knows_more_than_it_sent_is_caught(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError):
        laws.round_trip(Flattering(3), GAUSSIAN, rng)


@pytest.mark.parametrize("cheat", [Overrunning(), UnderReporting()], ids=repr)
def test_bits_that_are_not_counted_are_caught(cheat: Compressor, rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError):
        laws.bits_within_promise(cheat, GAUSSIAN, rng)


@pytest.mark.parametrize("cheat", [FalselyUnbiased(3), WithReplacement(30)], ids=repr)
def test_a_bias_is_caught(cheat: Compressor, rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError):
        laws.unbiased_if_claimed(cheat, GAUSSIAN, rng)


def test_a_promise_that_no_message_needs_is_caught(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError, match="promises 5120 bits, and takes 2560"):
        laws.promise_is_near(Cautious(), [VECTORS["heavy tails"]], rng)


def test_an_error_above_the_guarantee_is_caught(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError):
        laws.error_within_guarantee(Boasting(3), GAUSSIAN, rng)
    with pytest.raises(AssertionError):  # strict: a single message is enough
        laws.error_within_guarantee(StrictlyBoasting(3), VECTORS["constant"], rng)


def test_one_nonce_for_all_messages_is_caught(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError):
        laws.nonces_are_fresh(Stale(3), GAUSSIAN, rng)
    with pytest.raises(AssertionError):
        laws.unbiased_if_claimed(Stale(3), GAUSSIAN, rng)
