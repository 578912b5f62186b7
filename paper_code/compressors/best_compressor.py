"""Which compressor takes the fewest bits at a given d and alpha: four regimes, one function."""

from __future__ import annotations

from .. import bounds
from .contract import Compressor
from .entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from .sparse_dithering import SparseDithering
from .spherical.compression import SphericalCompression
from .trellis.compression import TrellisCompression

LOG2_DRAWS = 20.0
"""Spherical Compression is chosen up to 2^20 expected draws: a millisecond or two a message."""

_UNARY_DIM = 28
"""Below, Sparse Dithering's unary code, which needs no model, beats an entropy coder's header.

Fitted to counted bits, within 8 % of them: they cross at d = 23 (alpha = 0.7) to 34 (alpha = 0.1).
"""


def _crossing(alpha: float) -> float:
    """d from which the trellis's denser packing pays for its longer header, within 4 % of bits.

    Fitted to counted bits; at low rates (alpha near 1) it packs hardly denser than rounding.
    """
    return 100 + 43 / (1 - alpha) ** 2


def best_compressor(d: int, alpha: float) -> Compressor:
    """The strictly contractive compressor of level ``alpha`` with the fewest bits on normal x.

    Few coordinates, -log2 P(alpha, d) <= 20: Spherical Compression. Else up to d = 27: Sparse
    Dithering itself. Up to d = 100 + 43 / (1 - alpha)^2: entropy-coded Sparse Dithering, whose
    header is some 15 bits shorter than the trellis's. Beyond: the trellis, with 8 states. Bits are
    ``message.bits``; the nonce of Spherical Compression adds 104 bits to each frame, not counted.
    Raises ValueError for d < 1 or alpha outside [1e-9, 1).

    >>> [type(best_compressor(d, 0.1)).__name__[:8] for d in (4, 20, 100, 10_000)]
    ['Spherica', 'SparseDi', 'EntropyC', 'TrellisC']
    """
    if d < 1:
        raise ValueError(f"d is {d}; at least one coordinate is needed")
    if not 1e-9 <= alpha < 1:
        raise ValueError(f"alpha is {alpha}; allowed are 1e-9 <= alpha < 1")
    if -bounds.log2_cap_probability(alpha, d) <= LOG2_DRAWS:
        return SphericalCompression(alpha)
    if d < _UNARY_DIM:
        return SparseDithering(alpha)
    if d < _crossing(alpha):
        return EntropyCodedSparseDithering(alpha)
    return TrellisCompression(alpha)
