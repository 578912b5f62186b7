"""One bit a coordinate: its sign."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.bits import BitReader, BitWriter
from ...messages.message import Header
from ...numerics import compiled, norms
from ...numerics.float_types import ROUNDOFF
from ...numerics.random_rotation import rotate, unrotate
from ..contract import Compressor, Guarantee, Look, check_flag

_ROUNDING = ROUNDOFF["bfloat16"] ** 2  # of the scale, in the coarsest element type


@dataclass(frozen=True)
class ScaledSign(Compressor, wire_id=9):
    """C(x) = (||x||_1 / d) sign(x), where sign(0) = 1: 31 + d bits, 31 for the zero vector.

    Strictly contractive: ||C(x) - x||^2 = ||x||^2 - ||x||_1^2 / d <= (1 - 1/d) ||x||^2, with
    equality for a vector of one non-zero coordinate. Rounding the scale adds 2^-16 / d at most,
    which the guarantee includes.

    Source: Bernstein et al. 2018, signSGD (arXiv:1802.04434); with this scale, Karimireddy et al.
    2019 (arXiv:1901.09847).

    >>> ScaledSign()(np.array([1.0, -5.0, 3.0]))
    array([ 3., -3.,  3.])
    """

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("scaled sign", "#661100", "X")

    def guarantee(self, d: int) -> Guarantee:
        """C(1 - 1/d), and the rounding of the scale."""
        return Guarantee.strictly_contractive(1 - (1 - _ROUNDING) / d)

    def max_bits(self, d: int) -> float:
        """31 + d."""
        return 31.0 + d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        write_signs(writer, x, sum_of_magnitudes(x) / x.size)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return read_signs(reader, header)


def write_signs(writer: BitWriter, x: NDArray[Any], scale: float) -> None:
    """Write the scale as a float32 and, if it is not 0, one bit a coordinate: is it negative?"""
    single = float(np.float32(scale))
    codes.write_positive_float(writer, single)
    if single:
        writer.write_mask(x < 0)


def read_signs(reader: BitReader, header: Header) -> NDArray[np.floating]:
    """The vector of +- scale that ``write_signs`` wrote."""
    reader.label("scale")
    scale = codes.read_positive_float(reader)
    if scale == 0:
        return np.zeros(header.d, header.working_dtype)
    reader.label("signs")
    held = header.working_dtype(scale)
    return np.where(reader.read_mask(header.d), -held, held)


@compiled.kernel
def sum_of_magnitudes(x):  # noqa: ANN001, ANN201 - numba infers the types
    """||x||_1 in float64, always added in the same order."""
    total = 0.0
    for value in x:
        total += abs(np.float64(value))
    return total


@dataclass(frozen=True)
class RotatedSign(Compressor, wire_id=10):
    """C(x) = R' (scale sign(R x)), R a random rotation, fresh for every message: 31 + d bits.

    Biased: scale = ||R x||_1 / d, the nearest; E||C(x) - x||^2 = (1 - 2/pi)(1 - 1/d) ||x||^2, so
    alpha = 0.363 in high dimension. Unbiased: scale = ||x||^2 / ||R x||_1, so that <C(x), x> =
    ||x||^2; E||C(x) - x||^2 = (E d / ||u||_1^2 - 1) ||x||^2, u uniform on the unit sphere, which
    grows with d to omega = pi/2 - 1 = 0.571.

    That is exact for a uniformly random rotation: up to d = 64. Beyond, rounds of a Hadamard
    transform stand in for it, and mean and error are near these, unproved; see ``random_rotation``.

    Source: Vargaftik et al. 2021, DRIVE (arXiv:2105.08339); unbiased in EDEN, 2022
    (arXiv:2108.08842).

    >>> RotatedSign()(np.array([3.0]), np.random.default_rng(0))
    array([3.])
    """

    unbiased: bool = False
    shrinks_evenly: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_flag("unbiased", self.unbiased)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(), cls(unbiased=True)]

    @property
    def look(self) -> Look:
        """The unbiased variant has a lighter tone."""
        if self.unbiased:
            return Look("EDEN, 1 bit", "#8f84c4", "h")
        return Look("rotation and 1 bit", "#332288", "h")

    @property
    def shares_randomness(self) -> bool:
        """The rotation."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(pi/2 - 1) if unbiased, else B((1 - 2/pi)(1 - 1/d)), over the rotation."""
        if self.unbiased:
            return Guarantee.unbiased(math.pi / 2 - 1)
        return Guarantee.contractive((1 - 2 / math.pi) * (1 - 1 / d))

    def max_bits(self, d: int) -> float:
        """31 + d."""
        return 31.0 + d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        y = rotate(x, header.shared_nonce)
        magnitudes = sum_of_magnitudes(y)
        if not magnitudes:
            scale = 0.0
        elif self.unbiased:
            scale = norms.sum_of_squares(x) / magnitudes
        else:
            scale = magnitudes / x.size
        write_signs(writer, y, scale)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return unrotate(read_signs(reader, header), header.shared_nonce, overwrite=True)
