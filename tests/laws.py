"""What every compressor has to obey. A law takes a compressor and raises AssertionError.

Statistical laws compare a mean over many messages with its promise, allowing ``SIGMAS``
standard errors: a false alarm of 6e-7 for each comparison where the mean is normal.
"""

import math
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from awkward import relative_error
from numpy.typing import NDArray

from paper_code import (
    Compressor,
    ConvolutionalCompression,
    Message,
    SubtractiveDithering,
    TrellisCompression,
    decode,
)
from paper_code.numerics.float_types import ROUNDOFF
from paper_code.numerics.tensors import as_array

Array = NDArray[Any] | torch.Tensor

MESSAGES = 600
COSTLY = (ConvolutionalCompression, SubtractiveDithering, TrellisCompression)
COSTLY_MESSAGES = 100  # of a scheme that takes milliseconds for each
SIGMAS = 5.0
OVERHEAD = 64
"""Bytes of a frame beside its payload: header, settings, nonce and checksum take fewer."""

_ELSEWHERE = """
import struct, sys
import numpy as np
import laws_cheats, paper_code
data = sys.stdin.buffer
for message in paper_code.iterate(data):
    held = message.decode().astype(np.float64).tobytes()
    sys.stdout.buffer.write(struct.pack("<I", len(held)) + held)
"""


def _count(c: Compressor) -> int:
    if not c.needs_rng:
        return 1
    return COSTLY_MESSAGES if isinstance(c, COSTLY) else MESSAGES


def round_trip(c: Compressor, x: Array, rng: np.random.Generator) -> None:
    """The frame alone gives the receiver what the sender's decoder gives; kind and shape return.

    So does what the encoder says that the receiver holds, bit for bit, in memory of its own.
    """
    message, known = c.encode_and_decode(x, rng)
    held, again = message.decode(), decode(message.to_bytes())
    np.testing.assert_array_equal(held, again)
    assert (known.dtype, known.tobytes()) == (held.dtype, held.tobytes())
    assert again.shape == tuple(x.shape)
    assert message.header.dtype == as_array(x)[1]
    assert np.all(np.isfinite(again))
    assert Message.from_bytes(message.to_bytes()) == message
    y = c(x, rng)
    assert (type(y), y.dtype, y.shape) == (type(x), x.dtype, x.shape)
    assert not np.may_share_memory(known, as_array(x)[0])


def repeatable(c: Compressor, x: Array, seed: int) -> None:
    """The same input and the same state of the generator give the same bytes, and values.

    So they do where those have a place to go to.
    """
    first = c.encode(x, np.random.default_rng(seed))
    out = np.full_like(held := first.decode(), np.nan)
    second, given = c.encode_and_decode(x, np.random.default_rng(seed), out)
    assert first.to_bytes() == second.to_bytes()
    assert given is out and out.tobytes() == held.tobytes()


def leaves_the_rest(c: Compressor, x: Array, seed: int) -> None:
    """x - C(x) can take the place of x, bit for bit, and the message is the same."""
    before = as_array(x)[0]
    rest = before.copy()
    message, held = c.encode_and_decode(rest, np.random.default_rng(seed), leave_rest=True)
    assert message == c.encode(before, np.random.default_rng(seed))
    assert rest.tobytes() == (before - held).tobytes()


def decodes_from_bytes_alone(messages: list[Message]) -> None:
    """Another process, which never met x, decodes to the same numbers."""
    frames = b"".join(message.to_bytes() for message in messages)
    run = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        input=frames,
        capture_output=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    out = run.stdout
    for message in messages:
        size = int.from_bytes(out[:4], "little")
        held = message.decode().astype(np.float64).tobytes()
        assert out[4 : 4 + size] == held, f"{message.compressor} decodes to something else"
        out = out[4 + size :]
    assert not out


def zero_is_sent(c: Compressor, x: Array, rng: np.random.Generator) -> None:
    """The zero vector of the shape and type of ``x`` comes back as it is."""
    assert not np.any(c.encode(0 * x, rng).decode())


def bits_within_promise(c: Compressor, x: Array, rng: np.random.Generator) -> None:
    """No message exceeds ``max_bits``, nor the mean ``expected_bits``; frames hide no bits."""
    d, count = math.prod(x.shape), _count(c)
    bits = np.empty(count)
    for i in range(count):
        message = c.encode(x, rng)
        bits[i] = message.bits
        assert len(message.payload) == -(-message.bits // 8)
        assert len(message.to_bytes()) <= len(message.payload) + OVERHEAD
    assert bits.max() <= c.max_bits(d)
    assert bits.mean() <= c.expected_bits(d) + SIGMAS * bits.std() / math.sqrt(count)


def promise_is_near(c: Compressor, xs: Iterable[Array], rng: np.random.Generator) -> None:
    """The costliest of the vectors, all of d coordinates, takes four fifths of what is promised.

    So no promise is idle. The loosest of this library, QSGD's, takes a mean inside a logarithm:
    it is a seventh above the costliest vector at d = 40.
    """
    most, promised = 0.0, math.inf
    for x in xs:
        promised = c.expected_bits(math.prod(x.shape))
        if promised == math.inf:
            return
        most = max(most, float(np.mean([c.encode(x, rng).bits for _ in range(_count(c))])))
    assert most >= 0.8 * promised, f"{c} promises {promised:.0f} bits, and takes {most:.0f}"


def error_within_guarantee(c: Compressor, x: Array, rng: np.random.Generator) -> None:
    """||C(x) - x||^2 / ||x||^2 is at most the level: always if strict, else in the mean."""
    wide, dtype = _wide(x)
    level = c.guarantee(wide.size).level
    # The outputs and one float32 scale are rounded: their errors add up in the root.
    rounding = 2 * (ROUNDOFF[dtype] + ROUNDOFF["float32"])
    allowed = (math.sqrt(level) + rounding * math.sqrt(1 + level)) ** 2
    errors = _errors(c, x, rng, _count(c))
    if c.guarantee(wide.size).is_strict:
        assert errors.max() <= level * (1 + 1e-6) if level else errors.max() == 0
    else:
        assert errors.mean() <= allowed + SIGMAS * errors.std() / math.sqrt(errors.size)


def unbiased_if_claimed(c: Compressor, x: Array, rng: np.random.Generator) -> None:
    """The mean of C(x) is x: seen along x, its signs, and six random directions."""
    wide, dtype = _wide(x)
    if not c.guarantee(wide.size).is_unbiased:
        return
    directions = np.vstack([wide, np.sign(wide), rng.standard_normal((6, wide.size))])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen = np.array([directions @ (_decoded(c, x, rng) - wide) for _ in range(_count(c))])
    error = seen.std(axis=0) / math.sqrt(len(seen))
    rounding = 2 * (ROUNDOFF[dtype] + ROUNDOFF["float32"])
    allowed = SIGMAS * error + rounding * np.linalg.norm(wide)
    assert np.all(np.abs(seen.mean(axis=0)) <= allowed), np.abs(seen.mean(axis=0)) / allowed


def nonces_are_fresh(c: Compressor, x: Array, rng: np.random.Generator) -> None:
    """No two messages share a nonce; a scheme without shared randomness carries none."""
    nonces = [c.encode(x, rng).header.nonce for _ in range(8)]
    if c.shares_randomness:
        assert None not in nonces
        assert len(set(nonces)) == len(nonces)
    else:
        assert set(nonces) == {None}


def _wide(x: Array) -> tuple[NDArray[np.float64], str]:
    array, dtype = as_array(x)
    return array.reshape(-1).astype(np.float64), dtype


def _decoded(c: Compressor, x: Array, rng: np.random.Generator) -> NDArray[np.float64]:
    return c.encode(x, rng).decode().reshape(-1).astype(np.float64)


def _errors(c: Compressor, x: Array, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    wide = _wide(x)[0]
    return np.array([relative_error(_decoded(c, x, rng), wide) for _ in range(count)])
