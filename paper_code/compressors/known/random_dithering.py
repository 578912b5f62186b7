"""Random rounding to equally spaced levels: standard dithering (QSGD), and TernGrad."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.bits import BitReader, BitWriter, FormatError, ceil_log2
from ...coding.elias_gamma import levels_bits_bound, read_levels, write_levels
from ...messages.message import Header
from ...numerics import compiled, norms
from ...numerics.float_types import float32_above
from ...numerics.random_streams import drawn
from ..contract import Compressor, Guarantee, Look, check_integer


@dataclass(frozen=True)
class RandomDithering(Compressor, wire_id=5):
    """QSGD: |x_i| / ||x|| rounded at random to 0, 1/s, 2/s, ..., 1, where s is ``levels``.

    C(x)_i = ||x|| sign(x_i) k_i / s with E k_i = s |x_i| / ||x||. Unbiased; the worst x has
    omega = sqrt(d)/s - 1 where d >= 4 s^2 (all |x_i| are equal), else at most d / (4 s^2). (In the
    source: min(d/s^2, sqrt(d)/s). The variance of k_i is sqrt(q) - q for q = (s x_i / ||x||)^2 up
    to 1/4, and 1/4 at most; that is concave in q, and the q_i add up to s^2.)

    The norm is a float32 in 31 bits, the levels in Elias' code: of order s (s + sqrt d) log d bits
    in the mean. The source uses his omega code, we his gamma code, which is never longer for
    numbers below 128.

    Source: Alistarh et al. 2017, QSGD (arXiv:1610.02132), Lemma 3.1.

    >>> RandomDithering(levels=4)(np.array([4.0, 0.0, 3.0, 0.0]), np.random.default_rng(0))
    array([3.75, 0.  , 2.5 , 0.  ])
    """

    levels: int

    def __post_init__(self) -> None:
        check_integer("levels", self.levels, 1, 2**31 - 1)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(levels=1), cls(levels=5)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("QSGD", "#882255", "v")

    @property
    def needs_rng(self) -> bool:
        """For the rounding."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(sqrt(d)/s - 1), or U(d / (4 s^2)) where d < 4 s^2."""
        ratio = math.sqrt(d) / self.levels
        return Guarantee.unbiased(ratio - 1 if ratio >= 2 else ratio**2 / 4)

    def max_bits(self, d: int) -> float:
        """The levels add up to s sqrt(d) + d at most."""
        return 31 + levels_bits_bound(d, self.levels * math.sqrt(d) + d)

    def expected_bits(self, d: int) -> float:
        """The levels add up to s ||x||_1 / ||x|| <= s sqrt(d) in the mean."""
        return 31 + levels_bits_bound(d, self.levels * math.sqrt(d))

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        scale = float32_above(math.sqrt(norms.sum_of_squares(x)))
        levels = round_at_random(x, scale, self.levels, self._generator(rng))
        nonzero = int(np.count_nonzero(levels))
        codes.write_positive_float(writer, scale if nonzero else 0.0)
        if nonzero:
            write_levels(writer, levels, nonzero)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("norm")
        scale = codes.read_positive_float(reader)
        if scale == 0:
            return np.zeros(header.d, header.working_dtype)
        reader.label("gaps, signs, levels")
        # float64 where the receiver rounds to another type than the working one: only once
        once = not header.exponent and header.dtype != "float16"
        dtype = header.working_dtype if once else np.float64
        return read_levels(reader, header.d, self.levels, scale / self.levels, dtype)


@dataclass(frozen=True)
class Ternary(Compressor, wire_id=6):
    """TernGrad: every coordinate becomes 0 or +- max|x|, at random with the right mean.

    Unbiased; E||C(x) - x||^2 = max|x| ||x||_1 - ||x||^2, which is (sqrt(d) - 1)/2 ||x||^2 at most,
    where one |x_i| is sqrt(d) + 1 times the others. The maximum is a float32 in 31 bits; then the
    number of non-zeros, their signs, and the subset code: at most log2(3) = 1.585 bits a
    coordinate, because n of d coordinates with signs can be chosen in at most 3^d ways.

    Source: Wen et al. 2017, TernGrad (arXiv:1705.07878), without its clipping, which is biased.

    >>> Ternary()(np.array([2.0, 0.0, -1.0, 1.0]), np.random.default_rng(3))
    array([ 2.,  0., -2.,  2.])
    """

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("ternary", "#aa4499", "<")

    @property
    def needs_rng(self) -> bool:
        """For the rounding."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U((sqrt(d) - 1) / 2)."""
        return Guarantee.unbiased((math.sqrt(d) - 1) / 2)

    def max_bits(self, d: int) -> float:
        """31 + ceil(log2 d) + log2(3) d, and less than a bit for the subset's whole bits."""
        # beyond d = 10 000 the coder of the subset ends within 64 bits and its model costs little
        slack = 64 + 4e-6 * d if d > codes.EXACT_SUBSET_DIM else 1
        return 31 + ceil_log2(d) + math.log2(3) * d + slack

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        scale = float32_above(norms.peak(x))
        levels = round_at_random(x, scale, 1, self._generator(rng))
        nonzero = int(np.count_nonzero(levels))
        codes.write_positive_float(writer, scale if nonzero else 0.0)
        if nonzero:
            writer.write_uint(nonzero - 1, ceil_log2(x.size))
            writer.write_signs(levels)
            codes.write_subset(writer, levels != 0, nonzero, ranked=True)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("largest value")
        scale = codes.read_positive_float(reader)
        values = np.zeros(header.d, header.working_dtype)
        if scale == 0:
            return values
        reader.label("number of non-zeros")
        nonzero = reader.read_uint(ceil_log2(header.d)) + 1
        if nonzero > header.d:
            raise FormatError(f"{nonzero} of {header.d} coordinates cannot be non-zero")
        reader.label("signs")
        negative = reader.read_mask(nonzero)
        reader.label("positions")
        mask = codes.read_subset(reader, header.d, nonzero, ranked=True)
        _set_signs(mask, negative, scale, values)
        return values


def round_at_random(
    x: NDArray[Any], scale: float, top: int, rng: np.random.Generator
) -> NDArray[np.signedinteger]:
    """top |x| / scale rounded down or up at random with the right mean, with the signs of x.

    ``scale`` is at least max |x|. A byte each where they fit.
    """
    kind: type[np.signedinteger] = np.int8 if top < 128 else np.int32
    levels = np.zeros(x.size, kind)
    if scale:
        for part, uniforms in drawn(x.size, rng):
            _round(x[part], scale, top, uniforms, levels[part])
    return levels


@compiled.kernel
def _set_signs(mask, negative, scale, values):  # noqa: ANN001, ANN202 - numba infers the types
    """Set values[i] = +- scale for each member i of the mask."""
    j = 0
    for i in range(mask.size):
        if mask[i]:
            values[i] = -scale if negative[j] else scale
            j += 1


@compiled.kernel
def _round(x, scale, top, uniforms, levels):  # noqa: ANN001, ANN202
    for i in range(x.size):
        level = math.floor(abs(np.float64(x[i])) / scale * top + uniforms[i])
        level = min(level, top)  # which the last digit of the product could pass
        levels[i] = np.int32(-level if x[i] < 0 else level)
