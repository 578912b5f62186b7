"""A message is written and read in twice the memory of its vector, what comes out included.

Counted is what Python and NumPy hold at the peak beyond what goes in. The entropy coder's own words
are not seen: it keeps them itself, fewer than the payload that is counted.
"""

import dataclasses
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from laws_cases import CASES
from numpy.typing import NDArray

from paper_code import (
    E8,
    ChunkedTopK,
    Compressor,
    ConvolutionalCompression,
    CorrelatedDithering,
    EntropyCodedSparseDithering,
    Identity,
    SphericalCompression,
    SubtractiveDithering,
    TrellisCompression,
    decode,
)

TIMES = 2
LARGE, SMALL = 1 << 18, 10_000
KIB = 1024

FIXED = {
    EntropyCodedSparseDithering: 64,  # tables of the 463 symbols, the sample that the search uses
    E8: 160,  # the same tables for each of its 7 models, and where their intervals begin
    CorrelatedDithering: 768,  # the same again, and the dither moved by strata
    SubtractiveDithering: 512,  # the same tables for each of its 16 models
    TrellisCompression: 690,  # a chunk, its branches and path, and what 16 steps cost
}
"""KiB more, whatever the size of the vector."""

EACH_STATE = 8.75
"""KiB more for each state of a trellis: a word of decisions at each of 1088 steps, two metrics."""

MANY_PATHS = (ConvolutionalCompression, TrellisCompression)

OBJECTS = 4
"""KiB for Python's objects, which every message takes."""

DECODING = {
    Identity: "payload, its words and the values are three of the size of x",
}
"""Those whose decoder takes more, and why; a test says that it still does."""


def peak(call: Callable[[], object]) -> int:
    """Most bytes held during a call, beyond those before; the second call, all being compiled."""
    call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def excess(c: Compressor, x: NDArray[np.float32]) -> tuple[float, float]:
    """Bytes above the law's allowance, of encoding and of decoding; negative where it holds."""
    if isinstance(c, ChunkedTopK):  # chunks as they are in use
        c = ChunkedTopK()
    elif hasattr(c, "k"):
        c = dataclasses.replace(c, k=x.size // 100)
    rng = np.random.default_rng(1)
    frame = c.encode(x, rng).to_bytes()
    states = c.states if isinstance(c, TrellisCompression) else 0
    allowed = TIMES * x.nbytes + KIB * (OBJECTS + FIXED.get(type(c), 0) + EACH_STATE * states)
    return (
        peak(lambda: c.encode(x, rng).to_bytes()) - allowed,
        peak(lambda: decode(frame)) - allowed,
    )


def gaussian(d: int) -> NDArray[np.float32]:
    return np.random.default_rng(d).standard_normal(d, dtype=np.float32)


COVERED = [c for c in CASES if not isinstance(c, SphericalCompression)]
"""Spherical Compression takes vectors of a few dozen coordinates: there all is Python's objects."""
COVERED += [TrellisCompression(alpha=0.01, unbiased=True)]  # a rotated copy, and paths beside it


@pytest.mark.parametrize("c", COVERED, ids=repr)
def test_large_vectors_take_twice_their_memory(c: Compressor) -> None:
    encoding, decoding = excess(c, gaussian(LARGE))
    assert encoding <= 0
    assert (decoding <= 0) == (type(c) not in DECODING)


@pytest.mark.parametrize("c", COVERED, ids=repr)
def test_ten_thousand_coordinates_do_too(c: Compressor) -> None:
    """Not the encoders of trellis and code: below 2**14 coordinates they try 64 paths at once."""
    encoding, decoding = excess(c, gaussian(SMALL))
    assert (decoding <= 0) == (type(c) not in DECODING)
    assert encoding <= (65 * 4 * SMALL if isinstance(c, MANY_PATHS) else 0)
