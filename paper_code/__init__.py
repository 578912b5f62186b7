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
from .compressor import Compressor, Guarantee
from .errors import FormatError
from .frame import decode, iterate
from .message import Header, Message
from .sparse_dithering import SparseDithering

__all__ = [
    "Compressor",
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
    "Ternary",
    "TopK",
    "decode",
    "iterate",
]
