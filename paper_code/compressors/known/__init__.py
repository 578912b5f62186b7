"""The compressors that the paper's scheme is measured against, one family a file."""

from .block_int8 import BlockInt8
from .chunked_top_k import ChunkedTopK
from .e8 import E8
from .eden import Eden
from .identity import Identity
from .natural import NaturalCompression, NaturalDithering
from .one_bit import RotatedSign, ScaledSign
from .random_dithering import RandomDithering, Ternary
from .sparsification import RandK, TopK

__all__ = [
    "E8",
    "BlockInt8",
    "ChunkedTopK",
    "Eden",
    "Identity",
    "NaturalCompression",
    "NaturalDithering",
    "RandK",
    "RandomDithering",
    "RotatedSign",
    "ScaledSign",
    "Ternary",
    "TopK",
]
