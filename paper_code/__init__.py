"""Gradient compression at the fewest bits: the companion library to arXiv:2010.03246."""

from .coding.bits import FormatError
from .compressors.best_compressor import best_compressor
from .compressors.contract import Compressor, Guarantee
from .compressors.convolutional.compression import ConvolutionalCompression
from .compressors.correlated_dithering import CorrelatedDithering
from .compressors.entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from .compressors.known import (
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
from .compressors.sparse_dithering import SparseDithering
from .compressors.spherical.compression import SphericalCompression
from .compressors.subtractive_dithering import SubtractiveDithering
from .compressors.trellis.compression import TrellisCompression
from .messages.message import Header, Message, decode, iterate

__all__ = [
    "E8",
    "BlockInt8",
    "ChunkedTopK",
    "Compressor",
    "ConvolutionalCompression",
    "CorrelatedDithering",
    "Eden",
    "EntropyCodedSparseDithering",
    "FormatError",
    "Guarantee",
    "Header",
    "Identity",
    "Message",
    "NaturalCompression",
    "NaturalDithering",
    "RandK",
    "RandomDithering",
    "RotatedSign",
    "ScaledSign",
    "SparseDithering",
    "SphericalCompression",
    "SubtractiveDithering",
    "Ternary",
    "TopK",
    "TrellisCompression",
    "__version__",
    "best_compressor",
    "decode",
    "iterate",
]


def __getattr__(name: str) -> str:
    """``__version__``, looked up when asked for: the metadata take a tenth of the import."""
    if name != "__version__":
        raise AttributeError(f"module 'paper_code' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("optimal-gradient-compression")
    except PackageNotFoundError:  # a checkout that was not installed
        return "0+unknown"
