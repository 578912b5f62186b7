"""What convolutional compression reaches: python -m benchmarks.convolutional [part ...].

Parts: rates, vectors, short, honest, unbiased, speed; all of them by default, in some minutes.
Prints tables and writes benchmarks/results/convolutional.json, keeping the parts not run. Payload
bits; processor time of one thread; speeds interleaved with those of 15 lines of rounding and ANS.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from paper_code import ConvolutionalCompression, Message, bounds
from paper_code.companion import files
from paper_code.compressors.convolutional.compression import finest
from paper_code.evaluation.measure import distortion
from paper_code.evaluation.payload_parts import payload_parts

from . import clock, peers, run, schemes

LONG = 1 << 20
Row = dict[str, Any]


def attempts(message: Message) -> int:
    """Rotations that were tried before the one that was sent."""
    return payload_parts(message)["attempt"] - 1


def rates() -> Iterator[Row]:
    """Savings over float32 at the same alpha, and bits over the bound, on normal vectors."""
    x = np.random.default_rng(1).standard_normal(LONG, np.float32)
    rng = np.random.default_rng(2)
    alphas = {
        64: (0.55, 0.73, 0.85, 0.96),
        256: (0.55, 0.6, 0.65, 0.73, 0.8, 0.85, 0.9, 0.96, 0.98),
        1024: (0.55, 0.6, 0.65, 0.73, 0.8, 0.85, 0.9, 0.96, 0.98, 0.99, 0.999),
        4096: (0.73, 0.96, 0.98),
        16384: (0.98,),
    }
    for states, of_states in alphas.items():
        for alpha in of_states:
            found = [ConvolutionalCompression(alpha, states).encode(x, rng) for _ in range(4)]
            bits = statistics.mean(message.bits for message in found) / LONG
            bound = 0.5 * math.log2(1 / alpha)
            yield {
                "states": states,
                "alpha": alpha,
                "bits": bits,
                "over_bound": bits / bound,
                "saving": 32 * (1 - alpha) / bits,
                "limit": 32 * (1 - alpha) / bound,
                "error": max(distortion(x, message.decode()) for message in found) / alpha,
                "attempts": statistics.mean(map(attempts, found)),
                "finest": finest(states),
            }


def kinds(d: int) -> dict[str, np.ndarray]:
    """Vectors that defeat careless schemes."""
    rng = np.random.default_rng(3)
    found = {
        "normal": rng.standard_normal(d),
        "Laplace": rng.laplace(size=d),
        "t(2)": rng.standard_t(2, d),
        "1 %-sparse": rng.standard_normal(d) * (rng.random(d) < 0.01),
        "constant": np.ones(d),
        "one-hot": np.eye(1, d, 77)[0],
        "sorted": np.sort(rng.standard_normal(d)),
        "two-sparse": 2 * np.eye(1, d, 5)[0] + np.eye(1, d, d // 2)[0],
        "alternating": 1.0 - 2 * (np.arange(d) % 2),
    }
    return {name: x.astype(np.float32) for name, x in found.items()}


def vectors() -> Iterator[Row]:
    """Whether alpha is kept and bits are the same whatever the vector."""
    rng = np.random.default_rng(4)
    for d, (alpha, states) in itertools.product(
        (LONG, 70_001), ((0.55, 256), (0.85, 256), (0.96, 1024))
    ):
        c, rows = ConvolutionalCompression(alpha, states), []
        for name, x in kinds(d).items():
            found = [c.encode(x, rng) for _ in range(4)]
            rows.append(
                {
                    "d": d,
                    "alpha": alpha,
                    "states": states,
                    "vector": name,
                    "bits": statistics.mean(message.bits for message in found),
                    "error": max(distortion(x, message.decode()) for message in found) / alpha,
                    "attempts": sum(map(attempts, found)),
                }
            )
        least = min(row["bits"] for row in rows)
        yield from (row | {"above_least": row["bits"] / least - 1} for row in rows)


def short() -> Iterator[Row]:
    """Bits and milliseconds of short vectors, and what ``expected_bits`` says."""
    rng = np.random.default_rng(5)
    for d, alpha in itertools.product((30, 100, 1000, 10_000, 100_000), (0.6, 0.9)):
        c = ConvolutionalCompression(alpha)
        c.encode(rng.standard_normal(d, np.float32), rng)
        bits, seconds = [], []
        for _ in range(100 if d <= 10_000 else 20):
            x = rng.standard_normal(d, np.float32)
            start = time.thread_time()
            bits.append(c.encode(x, rng).bits)
            seconds.append(time.thread_time() - start)
        yield {
            "d": d,
            "alpha": alpha,
            "bits": statistics.mean(bits),
            "deviation": statistics.stdev(bits) / math.sqrt(len(bits)),
            "expected_bits": c.expected_bits(d),
            "bound": d * 0.5 * math.log2(1 / alpha) + 31,
            "milliseconds": 1e3 * statistics.median(seconds),
        }


def honest() -> Iterator[Row]:
    """Mean bits without the scale against -log2 P, below which no code can fall."""
    rng = np.random.default_rng(6)
    for d, alpha in itertools.product((2, 4, 8, 16, 32, 64), (0.55, 0.75, 0.9)):
        c = ConvolutionalCompression(alpha)
        bits = [c.encode(rng.standard_normal(d), rng).bits - 31 for _ in range(300)]
        least = -bounds.log2_cap_probability(alpha, d)
        yield {"d": d, "alpha": alpha, "bits": statistics.mean(bits), "least": least}


def unbiased() -> Iterator[Row]:
    """Error of the mean of 2000 messages, over what chance leaves: 1 within sqrt(2 / d)."""
    rng, count = np.random.default_rng(7), 2000
    for d, name in itertools.product((64, 1024, 1 << 14), ("two-sparse", "constant")):
        x = kinds(d)[name]
        c = ConvolutionalCompression(0.8, 64, unbiased=True)
        total, errors = np.zeros(d), 0.0
        for _ in range(count):
            held = c(x, rng).astype(np.float64)
            total += held
            errors += float(np.sum((held - x) ** 2))
        power = float(np.sum(x.astype(np.float64) ** 2))
        yield {
            "d": d,
            "vector": name,
            "omega": errors / count / power / c.guarantee(d).omega,
            "over_chance": float(np.sum((total / count - x) ** 2)) / (errors / count**2),
            "deviation": math.sqrt(2 / d),
        }


def speed() -> Iterator[Row]:
    """Encoding and decoding, beside the peer; memory in times the vector."""
    x = np.random.default_rng(8).standard_normal(LONG, np.float32)
    rng = np.random.default_rng(9)
    settings = ((0.55, 256), (0.73, 256), (0.85, 256), (0.85, 1024))
    settings += ((0.9, 1024), (0.96, 256), (0.96, 1024), (0.96, 4096), (0.98, 4096))
    ours = [schemes.scheme(ConvolutionalCompression(*pair), rng) for pair in settings]
    peer = peers.fifteen_lines(1.1, peers.REFERENCE)
    times = clock.in_turns([*ours, peer], x, 15)
    for scheme in [*ours, peer]:
        row = clock.properties(scheme, x)
        found = clock.speeds(times[scheme.name], times[peers.REFERENCE], x)
        wanted = ("encode", "encode_ratio", "decode", "decode_ratio")
        yield {
            "scheme": scheme.name,
            "bits": row["bits"],
            **{name: found[name] for name in wanted},
            "encode_memory": row["encode_memory"],
            "decode_memory": row["decode_memory"],
        }


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    part.__name__: part for part in (rates, vectors, short, honest, unbiased, speed)
}


def shown(row: Row) -> str:
    """A line of a table."""
    return "  ".join(f"{v:9.4g}" if isinstance(v, float) else f"{v!s:>9}" for v in row.values())


def main() -> None:
    """Run the parts that are named, or all."""
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        raise SystemExit(f"parts are {', '.join(PARTS)}; not {', '.join(sorted(unknown))}")
    path = files.ROOT / run.RESULTS / "convolutional.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        print(f"\n{name}: {PARTS[name].__doc__}")
        rows: list[Row] = []
        for row in PARTS[name]():
            if not rows:
                print("  ".join(f"{key[:9]:>9}" for key in row))
            rows.append(row)
            print(shown(row), flush=True)
        report[name] = rows
    report["machine"] = run.machine()
    files.atomic_write(path, run.text(report))


if __name__ == "__main__":
    main()
