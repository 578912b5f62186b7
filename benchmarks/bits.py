"""Bits a coordinate at equal error, on drawn vectors and on those of training.

    python -m benchmarks.bits [--before PATH]

--before PATH names a checkout of an earlier version, whose trellis gets a column of its own;
without it that column stays as it was. Whole payloads, decoded again, and whether each kept its
error; only the top-k columns are sums: log2 binomial(d, k), 1 or 2 bits for each value, 31 for each
magnitude. No code has fewer for the positions, and no message was made. Prints a table and writes
benchmarks/results/bits.json, with the processor time of the trellis' two searches, in turns.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from paper_code import (
    ChunkedTopK,
    Compressor,
    ConvolutionalCompression,
    EntropyCodedSparseDithering,
    TrellisCompression,
)
from paper_code.companion import files
from paper_code.evaluation.measure import distortion

from . import clock, real_vectors, run
from .clock import Row
from .schemes import Vector

ALPHAS = (0.1, 0.5, 0.785, 0.9)
BEFORE, CHUNKED = "trellis before", "top-k of chunks"
THOROUGH, FAST, ROUNDS = "trellis", "trellis, fast", 3
PATH = files.ROOT / run.RESULTS / "bits.json"
COMPRESSORS: dict[str, Callable[[float], Compressor]] = {
    THOROUGH: TrellisCompression,
    FAST: lambda alpha: TrellisCompression(alpha, search="fast"),
    "trellis, 8 states": lambda alpha: TrellisCompression(alpha, states=8),
    "entropy-coded SD": EntropyCodedSparseDithering,
    "convolutional": ConvolutionalCompression,
}


def bits(compressor: Compressor, x: Vector, alpha: float) -> int:
    """Payload bits of one message; raises ValueError where it misses alpha."""
    message = compressor.encode(x, np.random.default_rng(1))
    if (error := distortion(x, message.decode())) > alpha * (1 + 1e-6):
        raise ValueError(f"{compressor}: error {error} at alpha {alpha}")
    return message.bits


def least_top_k(x: Vector, alpha: float) -> dict[str, float]:
    """Bits of the least top-k that meets alpha with one magnitude for all it keeps, and with two.

    A scheme that no k lets meet alpha is left out.
    """
    magnitudes = np.sort(np.abs(x).astype(np.float64))[::-1]
    sums = np.cumsum(magnitudes)
    wanted = (1 - alpha) * float(np.sum(magnitudes**2))
    return {
        f"top-k, {value_bits} bit": _subset(x.size, k) + value_bits * (k + 31)
        for value_bits, explained in ((1, _by_one), (2, _by_two))
        if (k := _least(lambda k: explained(sums, k) >= wanted, x.size))  # noqa: B023
    }


def _by_one(sums: NDArray[np.float64], k: int) -> float:
    """What the mean magnitude of the k largest explains of ||x||^2; ``sums`` are of the largest."""
    return float(sums[k - 1] ** 2 / k)


def _by_two(sums: NDArray[np.float64], k: int) -> float:
    """The same of two magnitudes, which split the j largest from the rest where that is best."""
    j = np.arange(1, k)
    squares = sums[: k - 1] ** 2 / j + (sums[k - 1] - sums[: k - 1]) ** 2 / (k - j)
    return float(squares.max()) if k > 1 else _by_one(sums, k)


def chunked_top_k(x: Vector, alpha: float) -> int | None:
    """Payload bits of the format in use, 2 bits a value, with the fewest that meet alpha."""

    def meets(k: int) -> bool:
        return distortion(x, ChunkedTopK(k)(x)) <= alpha

    k = _least(meets, min(x.size, ChunkedTopK.chunk), 12)
    return ChunkedTopK(k).encode(x).bits if k else None


def _least(meets: Callable[[int], bool], d: int, tried: int = 50) -> int:
    """The least k <= d that meets, 0 if none of those tried does: small values spoil a mean."""
    below = 0
    for k in sorted({round(2 ** (i * math.log2(d) / tried)) for i in range(tried + 1)}):
        if meets(k):
            while k - below > 1:
                middle = (k + below) // 2
                below, k = (below, middle) if meets(middle) else (middle, k)
            return k
        below = k
    return 0


def _subset(d: int, k: int) -> float:
    """log2 of the number of subsets of k of d coordinates."""
    return float(gammaln(d + 1) - gammaln(k + 1) - gammaln(d - k + 1)) / math.log(2)


_ELSEWHERE = f"""
import json, sys
import numpy as np
from paper_code import TrellisCompression
with np.load(sys.argv[1]) as vectors:
    found = {{
        name: [TrellisCompression(alpha).encode(x).bits for alpha in {ALPHAS}]
        for name, x in vectors.items()
    }}
print(json.dumps(found))
"""


def bits_before(checkout: Path, vectors: Mapping[str, Vector]) -> dict[tuple[str, float], int]:
    """What the trellis of another checkout takes, by vector and alpha."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as held:
        np.savez(held, **vectors)
        held.flush()
        command = [sys.executable, "-c", _ELSEWHERE, held.name]
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        text = subprocess.check_output(command, env=environment, cwd=checkout, text=True)
    return {
        (name, alpha): own
        for name, row in json.loads(text).items()
        for alpha, own in zip(ALPHAS, row, strict=True)
    }


def table(vectors: Mapping[str, Vector], before: Mapping[tuple[str, float], int]) -> list[Row]:
    """A row for each vector and alpha: payload bits by scheme."""
    rows = []
    for name, x in vectors.items():
        for alpha in ALPHAS:
            row = {"vector": name, "d": x.size, "alpha": alpha}
            if (name, alpha) in before:
                row[BEFORE] = before[name, alpha]
            for scheme, make in COMPRESSORS.items():
                if scheme != "convolutional" or alpha > 0.53:  # its finest
                    row[scheme] = bits(make(alpha), x, alpha)
            row |= search_seconds(x, alpha)
            row |= {key: math.ceil(value) for key, value in least_top_k(x, alpha).items()}
            if chunked := chunked_top_k(x, alpha):
                row[CHUNKED] = chunked
            rows.append(row)
            show(row)
    return rows


def search_seconds(x: Vector, alpha: float) -> dict[str, float]:
    """Processor seconds to encode by either search, medians of three."""
    found: dict[str, list[float]] = {f"{name}: seconds": [] for name in (THOROUGH, FAST)}
    for _ in range(ROUNDS):
        for name, times in zip((THOROUGH, FAST), found.values(), strict=True):
            encode = partial(COMPRESSORS[name](alpha).encode, x)
            times.append(clock.seconds(encode, 1, time.thread_time))
    return {name: float(np.median(times)) for name, times in found.items()}


def fast_in_words(rows: Sequence[Row]) -> str:
    """What the fast search costs and saves on these rows, and over which links it is better."""
    bits = np.array([[row[name] for name in (THOROUGH, FAST)] for row in rows])
    taken = np.array([[row[f"{name}: seconds"] for name in (THOROUGH, FAST)] for row in rows])
    more, shares = 100 * (bits[:, 1] / bits[:, 0] - 1), taken[:, 1] / taken[:, 0]
    worth = (bits[:, 1] - bits[:, 0]) / np.maximum(taken[:, 0] - taken[:, 1], 1e-9)
    return (
        f"fast search: {np.median(more):.1f} % more bits (median; {more.min():.1f} to "
        f"{more.max():.1f}) in {shares.min():.2f} to {shares.max():.2f} of the time; the thorough "
        f"one saves time over links below {worth.max() / 1e6:.2f} Mbit/s"
    )


COLUMNS = (BEFORE, *COMPRESSORS, "top-k, 1 bit", "top-k, 2 bit", CHUNKED)


def show(row: Row) -> None:
    """Print one row, in bits a coordinate; a star where the trellis takes more than it did."""
    worse = "*" * (row["trellis"] > 1.01 * row.get(BEFORE, math.inf) + 64)
    cells = (f"{row[name] / row['d']:17.5f}" if name in row else f"{'-':>17}" for name in COLUMNS)
    print(f"{row['vector']:32}{row['alpha']:6}", *cells, worse, flush=True)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.bits")
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    options = parser.parse_args()
    vectors = real_vectors.vectors()
    if options.before:
        before = bits_before(options.before, vectors)
    else:
        old = json.loads(PATH.read_text("utf-8"))["bits"] if PATH.exists() else []
        before = {(row["vector"], row["alpha"]): row[BEFORE] for row in old if BEFORE in row}
    print(f"{'bits a coordinate':32}{'error':>6}", *(f"{name:>17}" for name in COLUMNS))
    rows = table(vectors, before)
    trained = real_vectors.trained().keys()
    print("On the vectors of training,", fast_in_words([r for r in rows if r["vector"] in trained]))
    files.atomic_write(PATH, run.text({"machine": run.machine(), "bits": rows}))


if __name__ == "__main__":
    main()
