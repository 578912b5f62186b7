"""Sparse Dithering, the paper's scheme for the worst case: 1.69 bits per coordinate above optimal.

The direction is rounded to a grid whose step the norm sets; zeros are told by a subset code,
signs by a bit, levels in unary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .. import bounds
from ..coding import codes, words
from ..coding.bits import FormatError, packed
from ..coding.codes import BitReader, BitWriter, ceil_log2
from ..messages.message import Header
from ..numerics.float_types import ROUNDOFF, float32_below
from . import levels_on_cpu
from .contract import Compressor, Guarantee, Look
from .levels_on_cpu import Fields

if TYPE_CHECKING:
    import torch

    Vector = NDArray[Any] | torch.Tensor  # a tensor stays on its GPU

SLACK = 1e-6
"""The error may exceed nu by this relative amount, which rounding to the output dtype costs."""

_LARGEST_LEVEL = 2**31 - 1
_LARGEST_BYTE = 120  # in steps; a step finer by 5 % makes that 126, and a byte holds 127
_LARGEST_SHARE = 0.05


@dataclass(frozen=True)
class SparseDithering(Compressor, wire_id=1):
    """Round |x_i| / gamma to an integer level, gamma = 2 sqrt(nu / d) ||x||.

    C(x)_i = gamma sign(x_i) k_i. Deterministic (nearest level): strictly contractive with
    alpha = nu, at most 30 + log2 d + beta(nu) d bits, 3.35 d at nu = 1/10. Unbiased (random
    rounding): omega = nu, in the mean at most 30 + log2 d + (log2 3 + 1/(2 sqrt nu)) d bits,
    2.585 d at nu = 1/4. gamma is a float32 rounded down; x is any array of d coordinates.

    ``positions`` says how the zeros are told: "subset" (the paper's code) or "bitmap", one bit a
    coordinate, which is faster and at most (1 - H2(share of zeros)) d bits longer.

    Source: Sparse Dithering, arXiv:2010.03246.

    >>> c = SparseDithering(nu=0.1)
    >>> x = np.array([3.0, -4.0, 0.1, 0.0])
    >>> c(x).round(3)  # levels 2 and -3 of gamma = 1.581
    array([ 3.163, -4.744,  0.   ,  0.   ])
    >>> c.encode(x).bits  # gamma 31, zeros 2, signs 2, levels 2 + 3, positions 3
    43
    """

    runs_on_gpu: ClassVar[bool] = True

    nu: float
    unbiased: bool = False
    positions: Literal["subset", "bitmap"] = "subset"

    def __post_init__(self) -> None:
        highest = 1e6 if self.unbiased else 1.0
        if not 1e-12 <= self.nu < highest:
            raise ValueError(f"nu is {self.nu}; allowed are 1e-12 <= nu < {highest:g}")
        if self.positions not in ("subset", "bitmap"):
            raise ValueError(f"positions is {self.positions!r}; allowed are 'subset' and 'bitmap'")

    @classmethod
    def examples(cls) -> list[Self]:
        """Both roundings, with both codes of the zeros."""
        codes_of_zeros: tuple[Literal["subset", "bitmap"], ...] = ("subset", "bitmap")
        kinds = ((0.1, False), (0.25, True))
        return [cls(nu, unbiased, told) for nu, unbiased in kinds for told in codes_of_zeros]

    @property
    def look(self) -> Look:
        """The unbiased variant has a lighter tone."""
        if self.unbiased:
            return Look("unbiased Sparse Dithering", "#56b4e9", "^")
        return Look("Sparse Dithering", "#0072b2", "^")

    @property
    def needs_rng(self) -> bool:
        """Only random rounding draws."""
        return self.unbiased

    def guarantee(self, d: int) -> Guarantee:
        """U(nu) if unbiased, else C(nu)."""
        kind = Guarantee.unbiased if self.unbiased else Guarantee.strictly_contractive
        return kind(self.nu)

    def max_bits(self, d: int) -> float:
        """Deterministic: the paper's bound + 2 bits for whole-bit code words.

        The bound is taken at the step that is really sent, finer than sqrt(nu) by the rounding of
        gamma and, where float32 is coarse beside nu < 0.017, by that of the decoded values. For
        float16 and bfloat16 extreme vectors take a step finer by up to 5 %, and the bits of that.
        """
        if self.unbiased:
            return math.inf
        share = _rounding_share("float32", self.nu)
        nu = self.nu * (1 - 2.0**-23 - (share if 2 * share >= SLACK else 0)) ** 2
        if self.positions == "subset":
            return bounds.sparse_dithering_bits(nu, d) + 2 + _large_subset_slack(d)
        # gamma, bitmap, then k <= |u|/2h + 1/2 and a sign for each of at most d coordinates
        return 31 + (2.5 + 0.5 / math.sqrt(nu)) * d

    def expected_bits(self, d: int) -> float:
        """Unbiased: the paper's mean + 2 bits for whole-bit code words."""
        if not self.unbiased:
            return self.max_bits(d)
        if self.positions == "subset":
            return bounds.unbiased_sparse_dithering_bits(self.nu, d) + 2 + _large_subset_slack(d)
        return 31 + (2 + 0.5 / math.sqrt(self.nu)) * d

    def _write(
        self, x: Vector, writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        loops = _loops_of(x)
        gamma, levels = self._quantise(x, header, rng)
        nonzero = loops.count(levels) if gamma else 0
        codes.write_positive_float(writer, gamma if nonzero else 0.0)
        if not nonzero:
            return
        if self.positions == "subset":
            writer.write_uint(header.d - nonzero, ceil_log2(header.d))
        else:
            loops.write_mask(writer, levels)
        loops.write_signs(writer, levels)
        loops.write_unary(writer, levels)
        if self.positions == "subset":
            codes.write_subset(writer, loops.members(levels), nonzero)

    def _quantise(
        self, x: Vector, header: Header, rng: np.random.Generator | None
    ) -> tuple[float, Vector | None]:
        """gamma and the signed levels, a byte each where they fit; (0, None) where gamma is 0."""
        share, loops = _rounding_share(header.dtype, self.nu), _loops_of(x)
        if share > _LARGEST_SHARE:
            raise ValueError(
                f"nu is {self.nu}: rounding to {header.dtype} adds {share:.1%} to its root; "
                f"at most {_LARGEST_SHARE:.0%} is allowed: use a wider type or a larger nu"
            )
        gamma = float32_below(
            2 * math.sqrt(self.nu / header.d) * math.sqrt(loops.sum_of_squares(x))
        )
        if gamma == 0:
            return 0.0, None
        largest = loops.peak(x) / gamma
        if largest >= _LARGEST_LEVEL:
            raise ValueError(f"nu is {self.nu}: at d = {header.d} a level would exceed 2**31")
        dtype = "int8" if largest < _LARGEST_BYTE else "int32"
        if self.unbiased:
            return gamma, loops.round_at_random(x, gamma, dtype, rng)
        # Rounding to the output dtype may push an extreme vector over nu: then take a finer step.
        for step in (gamma, float32_below(gamma * (1 - share))):
            levels = loops.round_to_nearest(x, step, dtype)
            if 2 * share < SLACK:
                return step, levels
            if loops.distortion(x, step, levels, header) <= self.nu * (1 + SLACK):
                return step, levels
        raise ValueError(f"nu is {self.nu}, which is finer than {header.dtype} can hold")

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return levels_on_cpu.values_of(self._fields(reader, header.d), header)

    def _read_on_gpu(self, reader: BitReader, header: Header, device: torch.device) -> torch.Tensor:
        from . import levels_on_gpu

        return levels_on_gpu.values_of(self._fields(reader, header.d), header, device)

    def _fields(self, reader: BitReader, d: int) -> Fields | None:
        """Where mask, signs and levels lie; None for the zero vector."""
        gamma = codes.read_positive_float(reader)
        if gamma == 0:
            return None
        subset = self.positions == "subset"
        if subset:
            nonzero = d - reader.read_uint(ceil_log2(d))
        else:
            at_mask, mask = reader.take(d), reader.words
            nonzero = words.count_ones(mask, at_mask, d)
        if nonzero <= 0:
            raise FormatError(f"{nonzero} non-zero coordinates of {d}, but gamma = {gamma} > 0")
        at_signs, at_levels = reader.take(nonzero), codes.skip_unary(reader, nonzero)
        end = reader.position
        if subset:
            at_mask, mask = 0, packed(codes.read_subset(reader, d, nonzero))
        return Fields(gamma, mask, at_mask, reader.words, at_signs, at_levels, end)


def _rounding_share(dtype: str, nu: float) -> float:
    """What rounding decoded values may add to the error's root, relative to sqrt(nu)."""
    return ROUNDOFF[dtype] * (1 + math.sqrt(nu)) / math.sqrt(nu)


def _large_subset_slack(d: int) -> float:
    """Bits that the linear-time subset code may take over log2 C(d, n): coder's end, and model."""
    return 64 + 4e-6 * d if d > codes.EXACT_SUBSET_DIM else 0.0


def _loops_of(x: Vector) -> ModuleType:
    if isinstance(x, np.ndarray):
        return levels_on_cpu
    from . import levels_on_gpu  # torch is imported only where it is used

    return levels_on_gpu
