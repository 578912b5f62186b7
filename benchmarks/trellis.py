"""Bits and speed past the paper, beside fifteen lines of rounding and entropy coding, in one run.

    python benchmarks/trellis.py [log2 of d, 20 by default]

One thread, its processor time; medians of seven calls from array to frame and back, interleaved
with the peer's.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable

import constriction
import numpy as np
from numpy.typing import NDArray

from paper_code.compressors.contract import Compressor
from paper_code.compressors.entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from paper_code.compressors.subtractive_dithering import SubtractiveDithering
from paper_code.compressors.trellis.compression import TrellisCompression
from paper_code.messages.message import decode

_COMPRESSORS = [
    *(EntropyCodedSparseDithering(alpha) for alpha in (0.05, 0.1, 0.2, 0.5, 0.9)),
    *(SubtractiveDithering(omega) for omega in (0.0625, 0.25, 1.0)),
    *(TrellisCompression(alpha) for alpha in (0.05, 0.1, 0.2, 0.5, 0.9)),
    *(TrellisCompression(alpha, 64) for alpha in (0.01, 0.1, 0.4, 0.785)),
    *(TrellisCompression(alpha, 256) for alpha in (0.01, 0.1, 0.4)),
    TrellisCompression(0.2, unbiased=True),
]


def _model(counts: NDArray[np.int64]) -> object:
    shares = counts / counts.sum()
    return constriction.stream.model.Categorical(shares, perfect=False)


def peer_encode(x: NDArray[np.float32], step: float) -> tuple[object, ...]:
    """Round, count, entropy-code: a step for the whole vector, no guarantee, no frame."""
    levels = np.rint(x / np.float32(step)).astype(np.int32)
    lowest = levels.min()
    levels -= lowest
    counts = np.bincount(levels)
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(levels, _model(counts))
    return coder.get_compressed(), counts, lowest, levels.size, step


def peer_decode(
    words: NDArray[np.uint32], counts: NDArray[np.int64], lowest: int, d: int, step: float
) -> NDArray[np.float32]:
    """The rounded vector."""
    levels = constriction.stream.stack.AnsCoder(words).decode(_model(counts), d)
    return (levels + lowest).astype(np.float32) * np.float32(step)


def compared(ours: Callable[[], object], peers: Callable[[], object], repeats: int) -> list[float]:
    """Median seconds of our call, and the median ratio of the peer's time to ours.

    The calls are interleaved, and the time is the thread's, so that other work counts little.
    """
    times = []
    for _ in range(repeats + 1):
        marks = [time.thread_time()]
        for call in (ours, peers):
            call()
            marks.append(time.thread_time())
        times.append((marks[1] - marks[0], marks[2] - marks[1]))
    mine = [own for own, _ in times[1:]]  # the first turn warms up
    return [statistics.median(mine), statistics.median(peer / own for own, peer in times[1:])]


def row(compressor: Compressor, x: NDArray[np.float32], rng: np.random.Generator) -> str:
    """Bits of the frame, distance to the bound, error to its level, and speed to the peer's."""
    peer, frame = peer_encode(x, 1.17), compressor.encode(x, rng).to_bytes()
    speeds = [
        compared(lambda: compressor.encode(x, rng).to_bytes(), lambda: peer_encode(x, 1.17), 7),
        compared(lambda: decode(frame), lambda: peer_decode(*peer), 7),
    ]
    guarantee, bits = compressor.guarantee(x.size), 8 * len(frame) / x.size
    gap = bits - 0.5 * math.log2(1 / guarantee.alpha)
    wide = x.astype(np.float64)
    error = np.sum((decode(frame) - wide) ** 2) / np.sum(wide**2) / guarantee.level
    columns = [f"{4e-6 * x.size / own:6.0f} MB/s {ratio:5.2f}x" for own, ratio in speeds]
    return f"{compressor!s:58} {bits:7.4f} {gap:7.4f} {error:8.5f} {columns[0]} {columns[1]}"


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1 << int(sys.argv[1] if len(sys.argv) > 1 else 20), dtype=np.float32)
    print(f"{'':58} {'bits/d':>7} {'gap':>7} {'err/lvl':>8} {'encode':>18} {'decode':>18}")
    for compressor in _COMPRESSORS:
        print(row(compressor, x, rng), flush=True)


if __name__ == "__main__":
    main()
