"""Random rounding to powers of two: natural compression, and natural dithering below a norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.bits import BitReader, BitWriter, FormatError, ceil_log2
from ...coding.words import get
from ...messages.message import Header
from ...numerics import compiled, norms
from ...numerics.float_types import float32_above
from ...numerics.random_streams import drawn
from ..contract import Compressor, Guarantee, Look, check_integer

_LOWEST = -126  # exponent of the least normal float32: its exponent field, 1 to 254, is our level
_TOP = 254


@dataclass(frozen=True)
class NaturalCompression(Compressor, wire_id=7):
    """|x_i| rounded at random to the power of two below or above, with the right mean.

    Unbiased with omega = 1/8, reached where every |x_i| is 4/3 of a power of two. Sign and the
    exponent of a float32: exactly 9 bits a coordinate, for every element type, because values
    below 2^-126 are rounded at random to 0 or 2^-126 (x is scaled so that its largest value is at
    least 2^-61, and what that adds to omega is below 2^-100).

    Source: Horváth et al. 2019, Natural Compression (arXiv:1905.10988).

    >>> NaturalCompression()(np.array([1.0, -0.25, 3.0]), np.random.default_rng(0))
    array([ 1.  , -0.25,  4.  ])
    """

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("natural compression", "#999933", ">")

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
        writer.write_uints(_round_to_powers(x, 1.0, _LOWEST, _TOP, self._generator(rng)), 9)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return _read_powers(reader, 1.0, _LOWEST, _TOP, header)[0]


@dataclass(frozen=True)
class NaturalDithering(Compressor, wire_id=8):
    """|x_i| / ||x|| rounded at random to 0, 2^(1-s), ..., 1/4, 1/2, 1, where s is ``levels``.

    Unbiased. With r = sqrt(d) 2^(1-s), omega = r - 1 where r >= 9/4, else at most 1/8 + 2 r^2 / 9.
    (In the source: 1/8 + r min(1, r). With q = (x_i / ||x||)^2 and l = 2^(1-s) the variance of a
    coordinate is l sqrt(q) - q below l, and q/8 at most above: its least concave majorant over q
    gives the worst case.) The norm is a float32 in 31 bits; each coordinate takes the
    ceil(log2(2s + 1)) bits that tell its sign and level.

    Source: Horváth et al. 2019, Natural Compression (arXiv:1905.10988), natural
    dithering with p = 2.

    >>> NaturalDithering(levels=3)(np.array([4.0, 0.0, -3.0]), np.random.default_rng(0))
    array([ 2.5,  0. , -5. ])
    """

    levels: int

    def __post_init__(self) -> None:
        check_integer("levels", self.levels, 1, 64)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(levels=1), cls(levels=4)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("natural dithering", "#ddcc77", ">")

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
        scale = float32_above(math.sqrt(norms.sum_of_squares(x)))
        numbers = _round_to_powers(x, scale, 1 - self.levels, self.levels, self._generator(rng))
        used = bool(np.any(numbers))
        codes.write_positive_float(writer, scale if used else 0.0)
        if used:
            writer.write_uints(numbers, ceil_log2(2 * self.levels + 1))

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("norm")
        scale = codes.read_positive_float(reader)
        if scale == 0:
            return np.zeros(header.d, header.working_dtype)
        values, used = _read_powers(reader, scale, 1 - self.levels, self.levels, header)
        if not used:
            raise FormatError(f"every level is 0, but the norm is {scale}")
        return values


def _round_to_powers(
    x: NDArray[Any], scale: float, lowest: int, top: int, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Numbers: 0, or 2 k for +- scale * 2^(lowest + k - 1), k from 1 to ``top``; - is one less."""
    numbers = np.zeros(x.size, np.uint16)
    if scale:
        for part, uniforms in drawn(x.size, rng):
            _round(x[part], scale, lowest, top, uniforms, numbers[part])
    return numbers


def _read_powers(
    reader: BitReader, scale: float, lowest: int, top: int, header: Header
) -> tuple[NDArray[np.floating], bool]:
    """The values that the numbers say, and whether a number is not 0.

    Raises FormatError for a level above ``top``.
    """
    reader.label("signs and levels")
    width = ceil_log2(2 * top + 1)
    start = reader.take(width * header.d)  # before anything is allocated
    table = np.zeros(1 << width)
    table[2 : 2 * top + 1 : 2] = np.ldexp(scale, np.arange(lowest, lowest + top))
    table[1 : 2 * top : 2] = -table[2 : 2 * top + 1 : 2]
    values = np.empty(header.d, header.working_dtype)
    largest = _look_up(reader.words, start, width, table, values)
    if largest > 2 * top:
        raise FormatError(f"level {-(-largest // 2)} exceeds {top}")
    return values, largest > 0


@compiled.kernel
def _look_up(words, position, width, table, values):  # noqa: ANN001, ANN202 - numba infers types
    """Set the values to what the table says of each number; return the largest number."""
    largest = np.uint64(0)
    for i in range(values.size):
        number = get(words, position, width)
        position += width
        largest = max(largest, number)
        values[i] = table[number]
    return np.int64(largest)


@compiled.kernel
def _round(x, scale, lowest, top, uniforms, numbers):  # noqa: ANN001, ANN202
    least = math.ldexp(1.0, lowest)
    for i in range(x.size):
        ratio = abs(np.float64(x[i])) / scale
        if ratio < least:
            level = np.int64(uniforms[i] < ratio / least)
        else:
            # ratio = (1 + mantissa 2^-52) 2^(exponent - 1023)
            pattern = np.float64(ratio).view(np.int64)
            exponent, mantissa = pattern >> 52, pattern & (1 << 52) - 1
            level = exponent - 1022 - lowest + np.int64(uniforms[i] < mantissa * 2.0**-52)
            level = min(level, top)  # which the last digit of the ratio could pass
        numbers[i] = 2 * level - (np.int64(x[i] < 0) & np.int64(level > 0))
