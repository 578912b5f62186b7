"""Gradient compression at the fewest bits: the companion library to arXiv:2010.03246."""

from .baselines import (
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
from .choice import best_compressor
from .compressor import Compressor, Guarantee
from .entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from .errors import FormatError
from .frame import decode, iterate
from .message import Header, Message
from .sparse_dithering import SparseDithering
from .spherical import SphericalCompression
from .subtractive_dithering import SubtractiveDithering
from .threads import get_threads, set_threads
from .trellis import TrellisCompression

__all__ = [
    "Compressor",
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
    "best_compressor",
    "decode",
    "get_threads",
    "iterate",
    "set_threads",
]
