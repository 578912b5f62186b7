"""One bit a coordinate after a random rotation: DRIVE and EDEN."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..codes import BitReader, BitWriter
from ..compressor import Compressor, Guarantee
from ..message import Header
from ..rotation import rotate, unrotate
from .sign import read_signs, sum_of_magnitudes, write_signs


@dataclass(frozen=True)
class RotatedSign(Compressor, wire_id=10):
    """C(x) = R' (scale sign(R x)), R a random rotation, fresh for every message: 31 + d bits.

    Biased: scale = ||R x||_1 / d, the nearest; E||C(x) - x||^2 = (1 - 2/pi)(1 - 1/d) ||x||^2, so
    alpha = 0.363 in high dimension. Unbiased: scale = ||x||^2 / ||R x||_1, so that <C(x), x> =
    ||x||^2; E||C(x) - x||^2 = (E d / ||u||_1^2 - 1) ||x||^2, u uniform on the unit sphere, which
    grows with d to omega = pi/2 - 1 = 0.571.

    That is exact for a uniformly random rotation: up to d = 64. Beyond, rounds of a Hadamard
    transform stand in for it, and mean and error are near these, not proved; see ``rotation``.

    Source: Vargaftik et al. 2021, DRIVE (arXiv:2105.08339); unbiased in EDEN, 2022
    (arXiv:2108.08842).

    >>> RotatedSign()(np.array([3.0]), np.random.default_rng(0))
    array([3.])
    """

    unbiased: bool = False

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
        y = rotate(x, header.nonce)
        magnitudes = sum_of_magnitudes(y)
        if not magnitudes:
            scale = 0.0
        elif self.unbiased:
            scale = kernels.sum_of_squares(x) / magnitudes
        else:
            scale = magnitudes / x.size
        write_signs(writer, y, scale)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return unrotate(read_signs(reader, header), header.nonce, overwrite=True)
