"""Eight bits a coordinate below a scale for each block, as training systems send and store them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitReader, BitWriter, FormatError
from ...coding.codes import read_positive_floats, write_positive_floats
from ...messages.message import Header
from ...numerics import compiled
from ...numerics.float_types import ROUNDOFF
from ..chunk_steps import multiply
from ..contract import Compressor, Guarantee, Look, check_integer

_TOP = 127  # the largest level
_ROUNDING = ROUNDOFF["bfloat16"]  # of the coarsest element type


@dataclass(frozen=True)
class BlockInt8(Compressor, wire_id=20):
    """Blocks of x over scale = max |x_i| / 127, rounded to the nearest integers: absmax int8.

    The scale of each block is a float32 of 31 bits, rounded up; each level k, from -127 to 127,
    takes 8 bits: 8.48 bits a coordinate for blocks of 64.

    Strictly contractive with alpha = u^2 + (n - 1)(1 + u)^2 / (4 * 127^2), n = min(block, d), where
    u = 2^-8 is the roundoff of bfloat16, the coarsest element type. Proof, in units of the scale:
    the largest coordinate, 127, is sent as it is. Any other, t, is off by at most 1/2 and by
    u (t + 1/2) when the receiver rounds it to the element type, and with a = (1 + u)/2

        (a + u t)^2 - alpha t^2 <= a^2 alpha / (alpha - u^2)   for every t,

    so that alpha 127^2 = (n - 1) a^2 alpha / (alpha - u^2) is enough, which is the alpha above. At
    u = 0 a block (127, 1/2, ..., 1/2) comes within 0.1 % of it: .000976 for blocks of 64.

    Source: Dettmers, Lewis, Shleifer and Zettlemoyer 2021, 8-bit Optimizers via Block-wise
    Quantization (arXiv:2110.02861); their levels are not even, these are.

    >>> BlockInt8(block=2)(np.array([127.0, 3.4, -254.0, 3.4]))
    array([ 127.,    3., -254.,    4.])
    """

    block: int = 64

    def __post_init__(self) -> None:
        check_integer("block", self.block, 1, 1 << 15)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with: blocks that divide 40 coordinates, and some that do not."""
        return [cls(block=16)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("int8 with block scales", "#8c6d31", "s")

    def guarantee(self, d: int) -> Guarantee:
        """C(u^2 + (n - 1)(1 + u)^2 / (4 * 127^2)), n = min(block, d), u = 2^-8."""
        others = min(self.block, d) - 1
        level = _ROUNDING**2 + others * ((1 + _ROUNDING) / (2 * _TOP)) ** 2
        return Guarantee.strictly_contractive(level)

    def max_bits(self, d: int) -> float:
        """31 for each block and 8 for each coordinate: exactly."""
        return 31.0 * -(-d // self.block) + 8.0 * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        scales, levels = _scales(x, self.block), np.empty(x.size, np.int8)
        _round(x, self.block, scales, levels)
        write_positive_floats(writer, scales)
        writer.write_uints(levels.view(np.uint8), 8)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("scales")
        scales = read_positive_floats(reader, -(-header.d // self.block))
        reader.label("levels")
        levels = reader.read_uints(header.d, 8, "uint8").view(np.int8)
        if levels.min() < -_TOP:
            raise FormatError(f"a level is {levels.min()}; allowed are -{_TOP} to {_TOP}")
        values = np.empty(header.d, header.working_dtype)
        multiply(levels, scales, self.block, values)
        return values


def _scales(x: NDArray[Any], block: int) -> NDArray[np.float32]:
    """The least float32 that is at least max |x_i| / 127, for every block."""
    largest = np.zeros(-(-x.size // block))
    _peaks(x, block, largest)
    largest /= _TOP
    with np.errstate(under="ignore"):
        scales = largest.astype(np.float32)
    return np.where(scales < largest, np.nextafter(scales, np.float32(np.inf)), scales)


@compiled.kernel
def _peaks(x, block, largest):  # noqa: ANN001, ANN202 - numba infers the types
    for i in range(x.size):
        largest[i // block] = max(largest[i // block], abs(np.float64(x[i])))


@compiled.kernel
def _round(x, block, scales, levels):  # noqa: ANN001, ANN202
    for b in range(scales.size):
        scale = np.float64(scales[b])
        for i in range(b * block, min((b + 1) * block, x.size)):
            levels[i] = np.int8(np.rint(x[i] / scale)) if scale > 0 else np.int8(0)
