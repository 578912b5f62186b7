"""Which compressor takes the fewest bits at a given d and alpha: measured once, looked up here.

Spherical Compression's bits and EDEN's have closed forms; those of the others are in
``payload_bits.json``, means over normal vectors that ``scripts/measure_payloads.py`` measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from .. import bounds
from ..messages.byte_reader import varint
from ..messages.message import Header, Message
from .contract import Compressor, check_choice, check_flag, check_integer
from .convolutional.compression import ConvolutionalCompression, finest
from .entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from .known import E8, Eden
from .sparse_dithering import SparseDithering
from .spherical.compression import MAX_LOG2_DRAWS, SphericalCompression
from .subtractive_dithering import SubtractiveDithering
from .trellis.compression import TrellisCompression

TABLE = Path(__file__).parent / "payload_bits.json"
"""Mean payload bits of the schemes of ``STRICT`` and ``UNBIASED``, for each d and each alpha."""

STRICT: dict[str, Callable[[float], Compressor]] = {
    "Sparse Dithering": SparseDithering,
    "entropy-coded Sparse Dithering": EntropyCodedSparseDithering,
    "E8": E8,
    "trellis": TrellisCompression,
    "convolutional": ConvolutionalCompression,
}
"""Strictly contractive schemes that were measured; each makes a compressor of level alpha."""

UNBIASED: dict[str, Callable[[float], Compressor]] = {
    "unbiased Sparse Dithering": lambda alpha: SparseDithering(_omega(alpha), unbiased=True),
    "subtractive dithering": lambda alpha: SubtractiveDithering(_omega(alpha)),
    "unbiased trellis": lambda alpha: TrellisCompression(alpha, unbiased=True),
    "unbiased convolutional": lambda alpha: ConvolutionalCompression(alpha, unbiased=True),
}
"""Unbiased ones; each makes a compressor with omega = alpha / (1 - alpha)."""

_SHORT = 64  # coordinates of which 2^22 draws take milliseconds
_NORM_BITS = np.arange(9, 32)
_MEAN_LOSS = 0.36
"""Of a mantissa that is rounded down, in units of its last place: E[1/m]/2, log m uniform."""


class _Candidate(NamedTuple):
    """A compressor and the mean payload bits of its messages."""

    compressor: Compressor
    bits: float


def best_compressor(
    d: int,
    alpha: float,
    unbiased: bool = False,
    count: Literal["payload", "frame"] = "payload",
    max_log2_draws: float = 22.0,
) -> Compressor:
    """The compressor of level ``alpha`` with the fewest expected bits on a normal vector.

    Strictly contractive, ||C(x) - x||^2 <= alpha ||x||^2; ``unbiased``: omega at most
    alpha / (1 - alpha). ``count`` says which bits: those of the payload, or of the whole frame, in
    which shared randomness costs 104 more. Numbers of states are the defaults; norms are as short
    as pays (``norm_bits``).

    On a normal vector means the mean over x with independent normal coordinates, float32.
    Schemes that rotate x take as many bits for every x. Where few coordinates are large the
    entropy-coded schemes, which do not rotate, take fewer: ``EntropyCodedSparseDithering`` stays
    the better choice for sparse or heavy-tailed vectors, above all at large alpha.

    Spherical Compression is in question up to 2^``max_log2_draws`` expected draws a message, and
    for d > 64 up to 64/d times as many, as each takes time of order d. At the default that is
    milliseconds, or a few tenths of a second beyond d = 64.
    Raises ValueError or TypeError for d < 1, alpha outside [1e-9, 1) (unbiased: at most 1 - 1e-6),
    an unknown ``count``, and ``max_log2_draws`` outside 0 to 32.

    >>> [type(best_compressor(d, 0.1)).__name__[:8] for d in (4, 20, 100, 10_000)]
    ['Spherica', 'SparseDi', 'E8', 'TrellisC']
    >>> best_compressor(14, 0.15)
    SphericalCompression(alpha=0.15, unbiased=False, norm_bits=10)
    >>> best_compressor(14, 0.15, count="frame")
    SparseDithering(nu=0.15, unbiased=False, positions='subset', norm_bits=10)
    >>> type(best_compressor(10_000, 0.6)).__name__
    'ConvolutionalCompression'
    """
    check_integer("d", d, 1)
    check_flag("unbiased", unbiased)
    highest = 1 - 1e-6 if unbiased else math.nextafter(1, 0)
    if not 1e-9 <= alpha <= highest:
        allowed = "1e-9 <= alpha <= 1 - 1e-6" if unbiased else "1e-9 <= alpha < 1"
        raise ValueError(f"alpha is {alpha}; allowed are {allowed}")
    check_choice("count", count, "payload", "frame")
    if not 0 <= max_log2_draws <= MAX_LOG2_DRAWS:
        raise ValueError(
            f"max_log2_draws is {max_log2_draws}; allowed are 0 to {MAX_LOG2_DRAWS} draws"
        )
    every = candidates(int(d), float(alpha), unbiased, max_log2_draws)
    return min(every, key=lambda each: _bits(each, d, count)).compressor


def candidates(
    d: int, alpha: float, unbiased: bool = False, max_log2_draws: float = 22.0
) -> Iterator[_Candidate]:
    """Everything that is in question, with its expected payload bits on a normal vector."""
    log2_draws = max_log2_draws - math.log2(max(d / _SHORT, 1))
    if unbiased:
        yield from _unbiased_spherical(d, alpha, log2_draws)
        yield from _eden(d, alpha)
    else:
        yield from _spherical(d, alpha, log2_draws)
    yield _sparse_dithering(d, alpha, unbiased)
    for scheme, make in (UNBIASED if unbiased else STRICT).items():
        if reaches(scheme, d, alpha):
            yield _Candidate(make(alpha), float(expected_bits(scheme, d, alpha)))


def reaches(scheme: str, d: int, alpha: float) -> bool:
    """Whether a scheme of the table is in question: E8 takes a whole block of coordinates."""
    if scheme == "E8":
        return d >= 8
    return "convolutional" not in scheme or alpha >= finest(ConvolutionalCompression.states)


def expected_bits(scheme: str, d: int, alpha: ArrayLike) -> NDArray[np.float64]:
    """Mean payload bits of a scheme of the table on a normal vector of ``d`` coordinates.

    What is above d/2 log2(1/alpha) is interpolated: for each d of the table in log(alpha/(1-alpha))
    (as at the nearest alpha beyond its ends), then in d, beyond its ends too.
    """
    dims, alphas, above = _table(scheme)
    at, known = (np.log(each) - np.log1p(-each) for each in (np.asarray(alpha), alphas))
    i = min(max(int(np.searchsorted(dims, d)), 1), dims.size - 1)
    lower, upper = (np.interp(at, known, row) for row in above[i - 1 : i + 1])
    share = (d - dims[i - 1]) / (dims[i] - dims[i - 1])
    return lower + share * (upper - lower) - d / 2 * np.log2(alpha)


@cache
def _table(scheme: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Dimensions, alphas that were measured, and bits above d/2 log2(1/alpha)."""
    table = json.loads(TABLE.read_text())
    bits = np.array(table["bits"][scheme], np.float64)  # NaN where out of reach
    dims, alphas = np.array(table["dims"], np.float64), np.array(table["alphas"])
    above = bits + dims[:, None] / 2 * np.log2(alphas)
    rows, columns = (~np.isnan(bits).all(axis=axis) for axis in (1, 0))
    return dims[rows], alphas[columns], above[rows][:, columns]


def _bits(candidate: _Candidate, d: int, count: str) -> float:
    """Expected bits of the payload, or of a float32 vector's frame, which is whole bytes."""
    compressor, bits = candidate
    if count == "payload":
        return bits
    header = Header((d,), "float32", 0, 0 if compressor.shares_randomness else None)
    empty = Message(compressor, header, b"", 0).to_bytes()
    return 8 * (len(empty) + len(varint(round(bits))) - 1) + bits + 3.5


def _omega(alpha: float) -> float:
    return alpha / (1 - alpha)


def _spherical(d: int, alpha: float, max_log2_draws: float) -> Iterator[_Candidate]:
    """With the norm that pays: each bit less of it makes the cap smaller."""
    norm_bits = _NORM_BITS[alpha > 4.0 ** (7.0 - _NORM_BITS)].tolist()
    with_norms = [SphericalCompression(alpha, norm_bits=each) for each in norm_bits]
    caps = np.array([compressor.cap for compressor in with_norms])
    bits = norm_bits + bounds.spherical_compression_expected_bits(caps, d)
    bits[-bounds.log2_cap_probability(caps, d) > max_log2_draws] = math.inf
    best = int(np.argmin(bits))
    if bits[best] < math.inf:
        yield _Candidate(with_norms[best], float(bits[best]))


def _unbiased_spherical(d: int, alpha: float, max_log2_draws: float) -> Iterator[_Candidate]:
    """With the widest cap whose omega is still alpha / (1 - alpha)."""

    def excess(cap: float) -> float:
        return bounds.spherical_compression_omega(cap, d) - _omega(alpha)

    cap, widest = alpha, 1 - 1e-6
    if excess(widest) <= 0:
        cap = widest
    elif excess(alpha) < 0:
        cap = max(alpha, scipy.optimize.brentq(excess, alpha, widest, xtol=1e-12) - 1e-9)
    if -bounds.log2_cap_probability(cap, d) <= max_log2_draws:
        bits = 31 + bounds.spherical_compression_expected_bits(cap, d)
        yield _Candidate(SphericalCompression(cap, unbiased=True), bits)


def _eden(d: int, alpha: float) -> Iterator[_Candidate]:
    """The fewest bits a coordinate that do."""
    for bits in (1, 2, 3, 4):
        eden = Eden(bits, unbiased=True)
        if eden.guarantee(d).omega <= _omega(alpha):
            yield _Candidate(eden, eden.max_bits(d))
            return


def _sparse_dithering(d: int, alpha: float, unbiased: bool) -> _Candidate:
    """With the gamma that pays: rounded down, it stands for the gamma of a finer nu."""
    nu = _omega(alpha) if unbiased else alpha
    scheme = "unbiased Sparse Dithering" if unbiased else "Sparse Dithering"
    finer = nu * (1 - _MEAN_LOSS * 2.0 ** (8 - _NORM_BITS)) ** 2
    alphas = finer / (1 + finer) if unbiased else finer
    bits = _NORM_BITS - 31 + expected_bits(scheme, d, alphas)
    best = int(np.argmin(bits))
    short = SparseDithering(nu, unbiased, norm_bits=int(_NORM_BITS[best]))
    return _Candidate(short, float(bits[best]))
