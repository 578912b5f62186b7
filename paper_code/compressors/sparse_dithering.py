"""Sparse Dithering, the paper's scheme for the worst case: 1.69 bits per coordinate above optimal.

The direction is rounded to a grid whose step the norm sets; zeros are told by a subset code,
signs by a bit, levels in unary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .. import bounds
from ..coding import codes, words
from ..coding.bits import BitReader, BitWriter, FormatError, ceil_log2, packed
from ..messages.message import Header
from ..numerics import compiled, norms
from ..numerics.float_types import ROUNDOFF, float32_below
from ..numerics.random_streams import drawn
from .contract import Compressor, Guarantee, Look, Values, check_choice, check_flag, check_integer
from .step_search import scaled

Levels = NDArray[np.signedinteger]

SLACK = 1e-6
"""The error may exceed nu by this relative amount, which rounding to the output dtype costs."""

_LARGEST_LEVEL = 2**31 - 1
_LARGEST_BYTE = 126  # in steps; rounding at random makes that 127, which a byte holds
_LARGEST_SHARE = 0.05


@dataclass(frozen=True)
class SparseDithering(Compressor, wire_id=1, later={"norm_bits": 16}):
    """Round |x_i| / gamma to an integer level, gamma = 2 sqrt(nu / d) ||x||.

    C(x)_i = gamma sign(x_i) k_i. Deterministic (nearest level): strictly contractive with
    alpha = nu, at most 30 + log2 d + beta(nu) d bits, 3.35 d at nu = 1/10. Unbiased (random
    rounding): omega = nu, in the mean at most 30 + log2 d + (log2 3 + 1/(2 sqrt nu)) d bits,
    2.585 d at nu = 1/4. gamma is a float32 rounded down; x is any array of d coordinates.

    ``positions`` says how the zeros are told: "subset" (as few bits as the paper's code), "bitmap",
    one bit a coordinate, which is faster and at most (1 - H2(share of zeros)) d bits longer, or
    "rank" (the paper's code itself, in time d^2 up to d = 10 000: what frames held at first).

    ``norm_bits``, 9 to 31, of gamma: 8 of exponent and k = norm_bits - 8 of mantissa. gamma is
    rounded down, so the step gets finer, by a factor of 1 - 2^-k at least: the guarantee stays, and
    random rounding is unbiased at any step.

    Source: Sparse Dithering, arXiv:2010.03246.

    >>> c = SparseDithering(nu=0.1)
    >>> x = np.array([3.0, -4.0, 0.1, 0.0])
    >>> c(x).round(3)  # levels 2 and -3 of gamma = 1.581
    array([ 3.163, -4.744,  0.   ,  0.   ])
    >>> c.encode(x).bits  # gamma 31, zeros 2, signs 2, levels 2 + 3, positions 3
    43
    """

    nu: float
    unbiased: bool = False
    positions: Literal["rank", "bitmap", "subset"] = "subset"  # a frame tells the place
    norm_bits: int = 31

    def __post_init__(self) -> None:
        check_flag("unbiased", self.unbiased)
        highest = 1e6 if self.unbiased else 1.0
        if not 1e-12 <= self.nu < highest:
            raise ValueError(f"nu is {self.nu}; allowed are 1e-12 <= nu < {highest:g}")
        check_choice("positions", self.positions, "subset", "bitmap", "rank")
        check_integer("norm_bits", self.norm_bits, 9, 31)

    @classmethod
    def examples(cls) -> list[Self]:
        """Both roundings, with both codes of the zeros, and with a short gamma."""
        codes_of_zeros: tuple[Literal["subset", "bitmap"], ...] = ("subset", "bitmap")
        kinds = ((0.1, False), (0.25, True))
        paper = [cls(nu, unbiased, told) for nu, unbiased in kinds for told in codes_of_zeros]
        return paper + [cls(nu, unbiased, norm_bits=12) for nu, unbiased in kinds]

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
        share, kept = _rounding_share("float32", self.nu), self._least_kept
        nu = self.nu * (kept * ((1 - share) * kept if 2 * share >= SLACK else 1)) ** 2
        if self.positions != "bitmap":
            paper = bounds.sparse_dithering_bits(nu, d) - (31 - self.norm_bits)
            return paper + 2 + _large_subset_slack(d)
        # gamma, bitmap, then k <= |u|/2h + 1/2 and a sign for each of at most d coordinates
        return self.norm_bits + (2.5 + 0.5 / math.sqrt(nu)) * d

    @property
    def _least_kept(self) -> float:
        """What rounding leaves of gamma at least."""
        return 1 - 2.0 ** (8 - self.norm_bits)

    def expected_bits(self, d: int) -> float:
        """Unbiased: the paper's mean + 2 bits for whole-bit code words."""
        if not self.unbiased:
            return self.max_bits(d)
        nu = self.nu * self._least_kept**2
        if self.positions != "bitmap":
            paper = bounds.unbiased_sparse_dithering_bits(nu, d) - (31 - self.norm_bits)
            return paper + 2 + _large_subset_slack(d)
        return self.norm_bits + (2 + 0.5 / math.sqrt(nu)) * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values | None:
        gamma, levels = self._quantise(x, header, rng)
        nonzero = int(np.count_nonzero(levels))
        codes.write_positive_float(writer, gamma if nonzero else 0.0, self.norm_bits)
        if not nonzero:
            return None
        if self.positions != "bitmap":
            writer.write_uint(header.d - nonzero, ceil_log2(header.d))
        else:
            writer.reserve(3 * header.d)  # most often all of it: growing costs copies
            writer.write_mask(levels)
        writer.write_signs(levels)
        codes.write_unary(writer, levels)
        if self.positions != "bitmap":
            codes.write_subset(writer, levels != 0, nonzero, ranked=self.positions == "rank")
        return lambda out, rest: scaled(levels, gamma, header, out, rest)

    def _quantise(
        self, x: NDArray[Any], header: Header, rng: np.random.Generator | None
    ) -> tuple[float, Levels]:
        """gamma and the signed levels, a byte each where they fit; no levels where gamma is 0."""
        share = _rounding_share(header.dtype, self.nu)
        if share > _LARGEST_SHARE:
            raise ValueError(
                f"nu is {self.nu}: rounding to {header.dtype} adds {share:.1%} to its root; "
                f"at most {_LARGEST_SHARE:.0%} is allowed: use a wider type or a larger nu"
            )
        energy = norms.sum_of_squares(x)
        widest = 2 * math.sqrt(self.nu / header.d) * math.sqrt(energy)
        gamma = float32_below(widest, self.norm_bits)
        if gamma == 0:
            return 0.0, np.empty(0, np.int8)
        largest = math.sqrt(energy) / gamma  # at most, and what it is where that matters
        if self.unbiased or largest >= _LARGEST_LEVEL:
            largest = norms.peak(x) / gamma
        if largest >= _LARGEST_LEVEL:
            raise ValueError(f"nu is {self.nu}: at d = {header.d} a level would exceed 2**31")
        if self.unbiased:
            levels: Levels = np.empty(x.size, np.int8 if largest < _LARGEST_BYTE else np.int32)
            for part, uniforms in drawn(x.size, self._generator(rng)):
                _round_at_random(x[part], gamma, uniforms, levels[part])
            return gamma, levels
        # Rounding to the output dtype may push an extreme vector over nu: then take a finer step.
        for step in (gamma, float32_below(gamma * (1 - share), self.norm_bits)):
            levels = np.empty(x.size, np.int8)
            if _round_to_nearest(x, step, levels) > _LARGEST_BYTE:  # they did not fit
                levels = np.empty(x.size, np.int32)
                _round_to_nearest(x, step, levels)
            if 2 * share < SLACK:
                return step, levels
            if _error(x, step, levels, header) / energy <= self.nu * (1 + SLACK):
                return step, levels
        raise ValueError(f"nu is {self.nu}, which is finer than {header.dtype} can hold")

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        d, subset = header.d, self.positions != "bitmap"
        reader.label("step")
        gamma = codes.read_positive_float(reader, self.norm_bits)
        if gamma == 0:
            return np.zeros(d, header.working_dtype)
        at_mask, mask = 0, reader.words
        if subset:
            reader.label("number of zeros")
            nonzero = d - reader.read_uint(ceil_log2(d))
        else:
            reader.label("positions")
            at_mask = reader.take(d)
            nonzero = words.count_ones(mask, at_mask, d)
        if nonzero <= 0:
            raise FormatError(f"{nonzero} non-zero coordinates of {d}, but gamma = {gamma} > 0")
        reader.label("signs")
        at_signs = reader.take(nonzero)
        reader.label("levels")
        at_levels = codes.skip_unary(reader, nonzero)
        if subset:
            reader.label("positions")
            mask = packed(codes.read_subset(reader, d, nonzero, self.positions == "rank"))
        values = np.zeros(d, header.working_dtype)
        words.get_levels(mask, at_mask, reader.words, at_signs, at_levels, gamma, values)
        return values


def _rounding_share(dtype: str, nu: float) -> float:
    """What rounding decoded values may add to the error's root, relative to sqrt(nu)."""
    return ROUNDOFF[dtype] * (1 + math.sqrt(nu)) / math.sqrt(nu)


def _large_subset_slack(d: int) -> float:
    """Bits that the linear-time subset code may take over log2 C(d, n): coder's end, and model."""
    return 64 + 4e-6 * d if d > codes.EXACT_SUBSET_DIM else 0.0


def _error(x: NDArray[Any], gamma: float, levels: Levels, header: Header) -> float:
    """||C(x) - x||^2 for the values that the receiver will hold."""
    sent = np.multiply(levels, gamma, dtype=np.float64).astype(header.working_dtype)
    return norms.sum_of_squares(header.rounded(sent) - x)


@compiled.kernel
def _round_to_nearest(x, gamma, levels):  # noqa: ANN001, ANN202 - numba infers the types
    """The signed levels sign(x_i) ceil(|x_i| / gamma - 1/2): a tie goes to the cheaper one.

    Returns the largest magnitude, which ``levels`` may not hold.
    """
    inverse, largest = 1.0 / gamma, np.int32(0)
    for i in range(x.size):
        level = np.int32(np.ceil(abs(np.float64(x[i])) * inverse - 0.5))
        largest = max(largest, level)
        levels[i] = -level if x[i] < 0 else level
    return largest


@compiled.kernel
def _round_at_random(x, gamma, uniforms, levels):  # noqa: ANN001, ANN202
    """The signed levels sign(x_i) floor(|x_i| / gamma + u_i), u_i uniform in [0, 1)."""
    inverse = 1.0 / gamma
    for i in range(x.size):
        level = np.floor(abs(np.float64(x[i])) * inverse + uniforms[i])
        levels[i] = np.int32(-level if x[i] < 0 else level)
