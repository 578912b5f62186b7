"""The compressors that the paper's scheme is measured against, one family a file."""

from .identity import Identity
from .natural import NaturalCompression, NaturalDithering
from .random_dithering import RandomDithering, Ternary
from .rotated_sign import RotatedSign
from .sign import ScaledSign
from .sparsification import RandK, TopK
from .table import KNOWN, Known

__all__ = [
    "KNOWN",
    "Identity",
    "Known",
    "NaturalCompression",
    "NaturalDithering",
    "RandK",
    "RandomDithering",
    "RotatedSign",
    "ScaledSign",
    "Ternary",
    "TopK",
]
