"""Spherical Compression, the paper's scheme for the average case: within 3 bits of optimal.

Sender and receiver share a list of random directions; the message is the number of the first one
that is near enough, and the norm. Work grows as 1 / P draws a message: for small d, or for blocks
of a long vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ... import bounds
from ...coding import codes
from ...coding.bits import BitReader, BitWriter, FormatError
from ...messages.message import Header
from ...numerics import norms
from ...numerics.float_types import ROUNDOFF, float32_near
from ..contract import Compressor, Guarantee, Look, check_flag, check_integer
from . import directions

MAX_LOG2_DRAWS = 32
"""More than 2^32 expected draws a message are refused: minutes to hours of work."""

_MAX_INDEX = 1 << 40  # the decoder's limit; an encoder stays below 40 * 2^32
_FINEST = 1e-13  # the norm is a float32: its rounding, squared, must not matter beside alpha
_PATIENCE = 40  # times 1 / P draws: a hit comes later with probability e^-40
_POOLED_FROM = 12  # Rice parameter, so 1 / P > 4256: before that fresh draws take no time
_POOLED_ALPHA = 0.01  # for thinner caps a coarse search finds too much


class _Plan(NamedTuple):
    """What alpha and d settle: -log2 P, the Rice parameter, whether the pool is used, and m."""

    log2_draws: float
    parameter: int
    pooled: bool
    overlap: float


@dataclass(frozen=True)
class SphericalCompression(Compressor, wire_id=3, later={"norm_bits": 17}):
    """Send the number of the first of many shared directions that lies within alpha of x.

    x^1, x^2, ... are uniform on the sphere of radius sqrt(1 - alpha) ||x||; T is the first with
    ||x^T - x||^2 <= alpha ||x||^2, decided on the vector that the receiver will hold. Strictly
    contractive. ``unbiased``: x^T / m, m = E<x^T, x> / ||x||^2 in closed form, with the same T.

    T is geometric with success probability P(alpha, d): Golomb-Rice coded, it takes fewer than
    -log2 P + 3 bits in the mean, beside 31 of the norm. Where 1 / P is above some 4000 and d at
    most 64, directions come from a pool (``directions``): the law is exact over seeds, approximate
    for one pool. ``alpha`` is in (0, 1); x is any array of d coordinates. Raises ValueError where
    1 / P > 2^32, and where alpha is finer than the element type can hold.

    ``norm_bits``, 9 to 31, of the norm: 8 of exponent and k = norm_bits - 8 of mantissa, so that it
    arrives as (1 + e) ||x||, |e| <= r = 2^-(k + 1). For a direction with the cosine
    t >= sqrt(1 - a) to x, on the sphere of radius sqrt(1 - a) (1 + e) ||x||, the error is

        1 - 2 t sqrt(1 - a) (1 + e) + (1 - a) (1 + e)^2 <= a + (1 - a) e^2,

    at most alpha for 1 - a = (1 - alpha) / (1 - r^2). With P(a, d) all holds as above, strictly
    contractive with alpha; where |e| < r, T comes earlier. ``unbiased`` needs 31 bits: a norm that
    is rounded to the nearest would bias it.

    Source: Spherical Compression, arXiv:2010.03246.

    >>> c = SphericalCompression(alpha=0.15)
    >>> message = c.encode(np.array([3.0, -4.0, 0.0, 1.0]), np.random.default_rng(1))
    >>> error = message.decode() - np.array([3.0, -4.0, 0.0, 1.0])
    >>> bool(error @ error <= 0.15 * 26), message.bits
    (True, 42)
    """

    alpha: float
    unbiased: bool = False
    norm_bits: int = 31

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; allowed are 0 < alpha < 1")
        check_flag("unbiased", self.unbiased)
        check_integer("norm_bits", self.norm_bits, 9, 31)
        if self.unbiased and self.norm_bits != 31:
            raise ValueError(f"norm_bits is {self.norm_bits}; allowed is 31 where unbiased is True")
        if self.cap <= 0:
            raise ValueError(
                f"alpha is {self.alpha}; allowed are {4.0 ** (7 - self.norm_bits):g} < alpha < 1 "
                f"with norm_bits = {self.norm_bits}"
            )

    @classmethod
    def examples(cls) -> list[Self]:
        """alpha so near 1 that 128 coordinates are within reach."""
        return [cls(alpha=0.9), cls(alpha=0.9, unbiased=True), cls(alpha=0.9, norm_bits=11)]

    @property
    def look(self) -> Look:
        """The unbiased variant has a lighter tone."""
        if self.unbiased:
            return Look("unbiased Spherical", "#7fd0b8", "D")
        return Look("Spherical", "#009e73", "D")

    @property
    def cap(self) -> float:
        """a, the level of the cap that T hits: alpha, less what a short norm may add."""
        if self.norm_bits == 31:
            return self.alpha  # the rounding of a float32 is far below it, see ``_FINEST``
        return 1 - (1 - self.alpha) / (1 - 4.0 ** (7 - self.norm_bits))

    @property
    def shares_randomness(self) -> bool:
        """The directions come from a nonce, fresh for every message."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """C(alpha); if unbiased U(omega), omega = (1 - alpha) / m^2 - 1 <= alpha / (1 - alpha)."""
        if self.unbiased:
            return Guarantee.unbiased(bounds.spherical_compression_omega(self.alpha, d))
        return Guarantee.strictly_contractive(self.alpha)

    def expected_bits(self, d: int) -> float:
        """The paper's norm_bits - log2 P + 3."""
        return self.norm_bits + bounds.spherical_compression_bits(self.cap, d)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        plan = _plan(self.cap, x.size)
        if plan.log2_draws > MAX_LOG2_DRAWS:
            raise ValueError(_too_many(self.alpha, self.cap, x.size, plan.log2_draws))
        if self.cap < max(_FINEST, 4 * ROUNDOFF[header.dtype] ** 2):
            raise ValueError(f"alpha is {self.alpha}, which is finer than {header.dtype} can hold")
        power = norms.sum_of_squares(x)
        # nearest: P feels the square of its rounding
        norm = float32_near(math.sqrt(power), self.norm_bits)
        codes.write_positive_float(writer, norm, self.norm_bits)
        if norm:
            index = self._first_hit(x.astype(np.float64), power, norm, header, plan)
            codes.write_rice(writer, index, plan.parameter)

    def _first_hit(
        self, x: NDArray[np.float64], power: float, norm: float, header: Header, plan: _Plan
    ) -> int:
        """T - 1; ``power`` is ||x||^2. A direction that rounding puts outside is passed over."""
        stop = math.ceil(_PATIENCE * 2.0**plan.log2_draws)
        unit, radius = x / math.sqrt(power), math.sqrt(1 - self.cap) * norm / math.sqrt(power)
        threshold = (1 - self.alpha + radius**2) / (2 * radius)  # error alpha from there on
        for index in directions.near(unit, threshold, header.shared_nonce, plan.pooled, stop):
            error = header.rounded(self._centre(norm, index, header, plan)) - x
            if error @ error <= self.alpha * power:
                return index
        raise ValueError(
            f"alpha is {self.alpha}: none of {stop} directions keeps it once rounded to "
            f"{header.dtype}; use a wider type, a larger scale or a larger alpha"
        )

    def _centre(self, norm: float, index: int, header: Header, plan: _Plan) -> NDArray[np.float64]:
        """x^T, T = ``index`` + 1, on the sphere of radius sqrt(1 - cap) ``norm``."""
        unit = directions.direction(index, header.d, header.shared_nonce, plan.pooled)
        return math.sqrt(1 - self.cap) * norm * unit

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        plan = _plan(self.cap, header.d)
        if plan.log2_draws > MAX_LOG2_DRAWS:
            raise FormatError(_too_many(self.alpha, self.cap, header.d, plan.log2_draws))
        reader.label("norm")
        norm = codes.read_positive_float(reader, self.norm_bits)
        if norm == 0:
            return np.zeros(header.d)
        reader.label("number of the direction")
        index = int(codes.read_rice(reader, 1, plan.parameter)[0])
        if index >= _MAX_INDEX:
            raise FormatError(f"direction {index} is out of range; the last is {_MAX_INDEX - 1}")
        reader.check_end()  # before the work: a direction of 2^26 coordinates takes seconds
        centre = self._centre(norm, index, header, plan)
        return centre / plan.overlap if self.unbiased else centre


@lru_cache(maxsize=1024)
def _plan(alpha: float, d: int) -> _Plan:
    log2_draws = -bounds.log2_cap_probability(alpha, d)
    if log2_draws > MAX_LOG2_DRAWS:
        return _Plan(log2_draws, 0, False, 1.0)
    parameter = bounds.rice_parameter(2.0**-log2_draws)
    pooled = parameter >= _POOLED_FROM and alpha >= _POOLED_ALPHA and directions.can_pool(d)
    overlap = bounds.spherical_compression_mean_overlap(alpha, d)
    return _Plan(log2_draws, parameter, pooled, overlap)


def _too_many(alpha: float, cap: float, d: int, log2_draws: float) -> str:
    smaller = np.arange(1, min(d, 4096))
    fits = np.count_nonzero(-bounds.log2_cap_probability(cap, smaller) <= MAX_LOG2_DRAWS)
    return (
        f"alpha is {alpha} and d is {d}: about 2**{log2_draws:.0f} draws are expected, allowed are "
        f"2**{MAX_LOG2_DRAWS}; use SparseDithering(nu={alpha}), or blocks of at most {fits} "
        "coordinates"
    )
