"""Every compressor of this library, once: what laws, figures and benchmarks run over."""

from __future__ import annotations

from .contract import Compressor
from .convolutional.compression import ConvolutionalCompression
from .correlated_dithering import CorrelatedDithering
from .entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from .known import (
    E8,
    BlockInt8,
    ChunkedTopK,
    Eden,
    Identity,
    NaturalCompression,
    NaturalDithering,
    RandK,
    RandomDithering,
    RotatedSign,
    ScaledSign,
    Ternary,
    TopK,
)
from .sparse_dithering import SparseDithering
from .spherical.compression import SphericalCompression
from .subtractive_dithering import SubtractiveDithering
from .trellis import wire_13
from .trellis.compression import TrellisCompression

CLASSES: tuple[type[Compressor], ...] = (
    Identity,
    TopK,
    ChunkedTopK,
    RandK,
    RandomDithering,
    Ternary,
    NaturalCompression,
    NaturalDithering,
    ScaledSign,
    RotatedSign,
    Eden,
    BlockInt8,
    E8,
    SparseDithering,
    SphericalCompression,
    EntropyCodedSparseDithering,
    SubtractiveDithering,
    CorrelatedDithering,
    TrellisCompression,
    ConvolutionalCompression,
)
"""What was known before the paper, the paper's two schemes, and what goes past it."""

READ_ONLY: tuple[type[Compressor], ...] = (wire_13.TrellisCompression,)
"""Those of old frames, which they decode; nothing is encoded with them."""


def every() -> list[Compressor]:
    """The examples of all compressors of this library, in the order of ``CLASSES``."""
    return [example for kind in CLASSES for example in kind.examples()]
