"""One list of compressors: whatever is on it has to obey every law of ``laws``."""

from paper_code import (
    Compressor,
    EntropyCodedSparseDithering,
    Identity,
    NaturalCompression,
    NaturalDithering,
    RandK,
    RandomDithering,
    RotatedSign,
    ScaledSign,
    SparseDithering,
    SphericalCompression,
    SubtractiveDithering,
    Ternary,
    TopK,
    TrellisCompression,
)

CASES: list[Compressor] = [
    Identity(),
    TopK(k=3),
    RandK(k=3),
    SparseDithering(nu=0.1),
    SparseDithering(nu=0.1, positions="bitmap"),
    SparseDithering(nu=0.25, unbiased=True),
    SparseDithering(nu=0.25, unbiased=True, positions="bitmap"),
    RandomDithering(levels=1),
    RandomDithering(levels=5),
    Ternary(),
    NaturalCompression(),
    NaturalDithering(levels=1),
    NaturalDithering(levels=4),
    ScaledSign(),
    RotatedSign(),
    RotatedSign(unbiased=True),
    SphericalCompression(alpha=0.9),  # so near 1 that 128 coordinates are within reach
    SphericalCompression(alpha=0.9, unbiased=True),
    EntropyCodedSparseDithering(alpha=0.1),
    SubtractiveDithering(omega=0.25),
    TrellisCompression(alpha=0.1),
    TrellisCompression(alpha=0.2, states=4, unbiased=True),
]
