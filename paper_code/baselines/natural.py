"""Random rounding to powers of two: natural compression, and natural dithering below a norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .. import codes, kernels
from ..codes import BitReader, BitWriter, ceil_log2
from ..compressor import Compressor, Guarantee
from ..errors import FormatError
from ..message import Header
from .random_dithering import float32_above

_LOWEST = -126  # exponent of the least normal float32: its exponent field, 1 to 254, is our level
_TOP = 254


@dataclass(frozen=True)
class NaturalCompression(Compressor, wire_id=7):
    """|x_i| rounded at random to the power of two below or above, with the right mean.

    Unbiased with omega = 1/8, reached where every |x_i| is 4/3 of a power of two. Sign and the
    exponent of a float32: exactly 9 bits a coordinate, for every element type, because values
    below 2^-126 are rounded at random to 0 or 2^-126 (x is scaled so that its largest value is at
    least 2^-61, and what that adds to omega is below 2^-100).

    Source: Horvath et al. 2019, Natural Compression (arXiv:1905.10988), Theorem 1.

    >>> NaturalCompression()(np.array([1.0, -0.25, 3.0]), np.random.default_rng(0))
    array([ 1.  , -0.25,  4.  ])
    """

    @property
    def needs_rng(self) -> bool:
        """For the rounding."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(1/8)."""
        return Guarantee.unbiased(1 / 8)

    def max_bits(self, d: int) -> float:
        """9 bits a coordinate."""
        return 9.0 * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        _write_levels(writer, _round_to_powers(x, 1.0, _LOWEST, _TOP, rng), _TOP)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return _powers(_read_levels(reader, header.d, _TOP), 1.0, _LOWEST, _TOP, header)


@dataclass(frozen=True)
class NaturalDithering(Compressor, wire_id=8):
    """|x_i| / ||x|| rounded at random to 0, 2^(1-s), ..., 1/4, 1/2, 1, where s is ``levels``.

    Unbiased. With r = sqrt(d) 2^(1-s), omega = r - 1 where r >= 9/4, else at most 1/8 + 2 r^2 / 9.
    (In the source: 1/8 + r min(1, r). With q = (x_i / ||x||)^2 and l = 2^(1-s) the variance of a
    coordinate is l sqrt(q) - q below l, and q/8 at most above: its least concave majorant over q
    gives the worst case.) The norm is a float32 in 31 bits; each coordinate takes the
    ceil(log2(2s + 1)) bits that tell its sign and level.

    Source: Horvath et al. 2019, Natural Compression (arXiv:1905.10988), natural
    dithering with p = 2.

    >>> NaturalDithering(levels=3)(np.array([4.0, 0.0, -3.0]), np.random.default_rng(0))
    array([ 2.5,  0. , -5. ])
    """

    levels: int

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 64:
            raise ValueError(f"levels is {self.levels}; allowed are integers from 1 to 64")

    @property
    def needs_rng(self) -> bool:
        """For the rounding."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(r - 1), or U(1/8 + 2 r^2 / 9) where r < 9/4; r = sqrt(d) 2^(1-s)."""
        r = math.sqrt(d) * 2.0 ** (1 - self.levels)
        return Guarantee.unbiased(r - 1 if r >= 9 / 4 else 1 / 8 + 2 / 9 * r**2)

    def max_bits(self, d: int) -> float:
        """31 + ceil(log2(2s + 1)) d."""
        return 31.0 + ceil_log2(2 * self.levels + 1) * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        scale = float32_above(math.sqrt(kernels.sum_of_squares(x)))
        levels = _round_to_powers(x, scale, 1 - self.levels, self.levels, rng)
        codes.write_positive_float(writer, scale if np.any(levels) else 0.0)
        if np.any(levels):
            _write_levels(writer, levels, self.levels)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        scale = codes.read_positive_float(reader)
        if scale == 0:
            return np.zeros(header.d, header.working_dtype)
        levels = _read_levels(reader, header.d, self.levels)
        if not np.any(levels):
            raise FormatError(f"every level is 0, but the norm is {scale}")
        return _powers(levels, scale, 1 - self.levels, self.levels, header)


def _round_to_powers(
    x: NDArray[Any], scale: float, lowest: int, top: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Signed levels: 0, or k for scale * 2^(lowest + k - 1), k from 1 to ``top``."""
    levels = np.zeros(x.size, np.int16)
    if scale:
        for start in range(0, x.size, kernels.BLOCK):
            chunk = x[start : start + kernels.BLOCK]
            uniforms = rng.random(chunk.size)
            _round(chunk, scale, lowest, top, uniforms, levels[start:])
    return levels


def _powers(
    levels: NDArray[np.int16], scale: float, lowest: int, top: int, header: Header
) -> NDArray[np.floating]:
    """The values that the levels say."""
    positive = np.ldexp(scale, np.arange(lowest, lowest + top))
    table = np.concatenate([[0], positive, -positive[::-1]])  # level -1 is the last entry
    values = np.empty(levels.size, header.working_dtype)
    _look_up(levels, table, values)
    return values


def _write_levels(writer: BitWriter, levels: NDArray[np.int16], top: int) -> None:
    """Each level as 2 |k|, less one for a negative one, in ceil(log2(2 top + 1)) bits."""
    width = ceil_log2(2 * top + 1)
    writer.reserve(width * levels.size)
    for start in range(0, levels.size, kernels.BLOCK):
        chunk = levels[start : start + kernels.BLOCK]
        writer.write_uints((2 * np.abs(chunk) - (chunk < 0)).view(np.uint16), width)


def _read_levels(reader: BitReader, d: int, top: int) -> NDArray[np.int16]:
    """Inverse of ``_write_levels``. Raises FormatError for a level above ``top``."""
    width = ceil_log2(2 * top + 1)
    if d * width > reader.remaining:  # before anything is allocated
        raise FormatError(f"payload ends: {d * width} bits wanted, {reader.remaining} left")
    levels = np.empty(d, np.int16)
    for start in range(0, d, kernels.BLOCK):
        numbers = reader.read_uints(min(kernels.BLOCK, d - start), width, "uint16")
        if numbers.max() > 2 * top:
            raise FormatError(f"level {-(-int(numbers.max()) // 2)} exceeds {top}")
        _to_levels(numbers, levels[start:])
    return levels


@njit(cache=True)
def _to_levels(numbers, levels):  # noqa: ANN001, ANN202 - numba infers the types
    for i in range(numbers.size):
        number = np.int64(numbers[i])
        levels[i] = -((number + 1) >> 1) if number & 1 else number >> 1


@njit(cache=True)
def _look_up(levels, table, values):  # noqa: ANN001, ANN202
    for i in range(levels.size):
        values[i] = table[levels[i]]


@njit(cache=True)
def _round(x, scale, lowest, top, uniforms, levels):  # noqa: ANN001, ANN202
    least = math.ldexp(1.0, lowest)
    for i in range(x.size):
        ratio = abs(np.float64(x[i])) / scale
        if ratio < least:
            level = np.int64(uniforms[i] < ratio / least)
        else:
            mantissa, exponent = math.frexp(ratio)  # ratio = mantissa 2^exponent, mantissa >= 1/2
            level = exponent - lowest + np.int64(uniforms[i] < 2 * mantissa - 1)
            level = min(level, top)  # which the last digit of the ratio could pass
        levels[i] = -level if x[i] < 0 else level
