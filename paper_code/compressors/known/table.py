"""The known compressors side by side: class, level and bits, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

from ..contract import Compressor
from .identity import Identity
from .natural import NaturalCompression, NaturalDithering
from .one_bit import RotatedSign, ScaledSign
from .random_dithering import RandomDithering, Ternary
from .sparsification import RandK, TopK


@dataclass(frozen=True)
class Known:
    """One row. ``level`` (omega or alpha) and ``bits`` (of float32 input, in the mean or exactly)
    are Python expressions in d, the settings of ``example``, and the names of ``math``; the tests
    hold the level to the guarantee and counted bits to ``bits``.
    """

    name: str
    example: Compressor
    level: str
    bits: str
    source: str


KNOWN = (
    Known("identity", Identity(), "0", "32 * d", "gradient descent"),
    Known(
        "top-k",
        TopK(k=10),
        "1 - k / d",
        "32 * k + ceil(log2(comb(d, k)))",
        "Alistarh et al. 2018, arXiv:1809.10505; Stich et al. 2018, arXiv:1809.07599",
    ),
    Known("rand-k", RandK(k=10), "d / k - 1", "32 * k", "Wangni et al. 2018, arXiv:1710.09854"),
    Known(
        "random dithering (QSGD)",
        RandomDithering(levels=4),
        "sqrt(d) / levels - 1 if d >= 4 * levels**2 else d / (4 * levels**2)",
        "31 + levels_bits_bound(d, levels * sqrt(d))",
        "Alistarh et al. 2017, arXiv:1610.02132, with the tight constant",
    ),
    Known(
        "ternary (TernGrad)",
        Ternary(),
        "(sqrt(d) - 1) / 2",
        "32 + ceil(log2(d)) + log2(3) * d",
        "Wen et al. 2017, arXiv:1705.07878",
    ),
    Known(
        "natural compression",
        NaturalCompression(),
        "1 / 8",
        "9 * d",
        "Horváth et al. 2019, arXiv:1905.10988",
    ),
    Known(
        "natural dithering",
        NaturalDithering(levels=4),
        "sqrt(d) * 2 ** (1 - levels) - 1 if sqrt(d) * 2 ** (1 - levels) >= 9 / 4 "
        "else 1 / 8 + 2 / 9 * d * 4 ** (1 - levels)",
        "31 + ceil(log2(2 * levels + 1)) * d",
        "Horváth et al. 2019, arXiv:1905.10988, with the tight constant",
    ),
    Known(
        "scaled sign",
        ScaledSign(),
        "1 - 1 / d + 2**-16 / d",
        "31 + d",
        "Karimireddy et al. 2019, arXiv:1901.09847",
    ),
    Known(
        "rotation and 1 bit (DRIVE)",
        RotatedSign(),
        "(1 - 2 / pi) * (1 - 1 / d)",
        "31 + d",
        "Vargaftik et al. 2021, arXiv:2105.08339",
    ),
    Known(
        "rotation and 1 bit, unbiased (EDEN)",
        RotatedSign(unbiased=True),
        "pi / 2 - 1",
        "31 + d",
        "Vargaftik et al. 2022, arXiv:2108.08842",
    ),
)
"""Every compressor of this package once; Sparse Dithering and what follows it have their own."""
