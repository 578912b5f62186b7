"""Time every compressor beside its peers: python -m benchmarks.run [--quick].

Prints tables, writes benchmarks/results/<name>.json and figures/bench_*.svg and .png. Processor
time of one thread, unless a column says that it is the wall clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from paper_code import SparseDithering, decode
from paper_code.companion import files

from . import clock, inputs, peers, pictures, schemes

FULL = (1_000, 10_000, 100_000, 1 << 20)
LONGEST = 1 << 24  # on one kind of vectors; "linear" goes further
QUICK = (1_000, 1 << 17)
LINEAR = (10_001, 100_000, 1 << 20, 1 << 23, 1 << 26)
LONG = 1 << 22
SLOW = 20  # MB/s
RESULTS = Path("benchmarks/results")


def cell(kind: str, d: int, rounds: int, found: list[schemes.Scheme]) -> list[clock.Row]:
    """A row for each scheme on one vector."""
    x = inputs.draw(kind, d)
    all_of_them = [*schemes.ours(d, np.random.default_rng(1)), *found]
    rows = {scheme.name: clock.properties(scheme, x) for scheme in all_of_them}
    able = [scheme for scheme in all_of_them if "refused" not in rows[scheme.name]]
    times = clock.in_turns(able, x, rounds)
    for name, of_scheme in times.items():
        rows[name] |= clock.speeds(of_scheme, times[peers.REFERENCE], x)
    return [{"kind": kind, "d": d} | row for row in rows.values()]


def show(rows: list[clock.Row]) -> None:
    """Print one cell."""
    print(f"\n{rows[0]['kind']}, d = {rows[0]['d']}: MB/s (times the 15 lines), memory / input")
    for row in rows:
        if "refused" in row:
            print(f"  {row['scheme']:68} refused: {row['refused']}")
            continue
        gap = "      -" if row["gap"] is None else f"{row['gap']:7.3f}"
        print(
            f"  {row['scheme']:68} {row['encode']:8.0f} ({row['encode_ratio']:5.2f})"
            f" {row['decode']:8.0f} ({row['decode_ratio']:6.2f})"
            f" {row['encode_memory']:5.2f} {row['decode_memory']:5.2f}"
            f" {row['bits']:8.3f} {row['error']:9.2e} {gap}",
            flush=True,
        )


def linear(dims: tuple[int, ...], rounds: int) -> list[clock.Row]:
    """Sparse Dithering from where the subset code is linear: ns and bytes a coordinate."""
    rows = []
    print(f"\n{'Sparse Dithering':20} {'d':>9}  ns a coordinate, memory / input: encode, decode")
    for d in dims:
        x = np.random.default_rng(d).standard_normal(d, np.float32)
        for positions in ("subset", "bitmap"):
            scheme = schemes.scheme(SparseDithering(0.1, positions=positions))
            row = clock.properties(scheme, x) | {"d": d, "positions": positions}
            times = clock.in_turns([scheme], x, rounds)[scheme.name]
            row["encode_ns"], row["decode_ns"] = (np.median(times, axis=0) * 1e9 / d).tolist()
            rows.append(row)
            print(
                f"{positions:20} {d:9} {row['encode_ns']:7.2f} {row['decode_ns']:7.2f}"
                f" {row['encode_memory']:6.2f} {row['decode_memory']:6.2f}",
                flush=True,
            )
    return rows


def small() -> clock.Row:
    """Microseconds, warm, of 100 coordinates: to a message and back, and to a frame and back."""
    x = inputs.draw("Gaussian", 100)
    row: clock.Row = {"d": 100}
    for positions in ("subset", "bitmap"):
        compressor = SparseDithering(0.1, positions=positions)
        message = compressor.encode(x)
        frame = message.to_bytes()
        calls = {
            "message": (lambda: compressor.encode(x), lambda: message.decode()),  # noqa: B023
            "frame": (lambda: compressor.encode(x).to_bytes(), lambda: decode(frame)),  # noqa: B023
        }
        for name, both in calls.items():
            times = [
                [clock.seconds(call, 200, time.thread_time) for call in both] for _ in range(25)
            ]
            row[f"{positions}_{name}"] = (np.median(times[1:], axis=0) * 1e6).tolist()
            there, back = row[f"{positions}_{name}"]
            print(f"d = 100, {positions}, {name}: {there:.1f} us to encode, {back:.1f} to decode")
    return row


def threads(d: int, rounds: int, found: list[schemes.Scheme], fast: set[str]) -> list[clock.Row]:
    """What one processor does for one message, and all for one message each, by the wall clock."""
    x, count = inputs.draw("Gaussian", d), os.cpu_count() or 1
    print(
        f"\nGaussian, d = {d}: MB/s by the wall clock of one message, and of {count} side by side"
    )
    print("on as many threads: encode, then decode")
    rows = []
    for scheme in [*schemes.ours(d, np.random.default_rng(1)), *found]:
        if scheme.name not in fast:
            continue
        rows.append(clock.by_wall_clock(scheme, x, count, rounds))
        speeds = "".join(f"{value:9.0f}" for value in list(rows[-1].values())[2:])
        print(f"  {scheme.name:68}{speeds}", flush=True)
    return rows


def machine() -> dict[str, Any]:
    """Where and with what it ran."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    """Its name, where Linux tells it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def text(report: dict[str, Any]) -> str:
    """JSON with a line for each row, floats to four digits."""

    def short(value: object) -> object:
        return float(f"{value:.4g}") if isinstance(value, float) else value

    def row(of: clock.Row) -> str:
        pairs = ((k, [*map(short, v)] if isinstance(v, list) else short(v)) for k, v in of.items())
        return json.dumps(dict(pairs), ensure_ascii=False)

    parts = []
    for name, value in report.items():
        rows = isinstance(value, list) and value and isinstance(value[0], dict)
        shown = "[\n  " + ",\n  ".join(map(row, value)) + "\n ]" if rows else json.dumps(value)
        parts.append(f' "{name}": {shown}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def all_but_threads(quick: bool, found: list[schemes.Scheme]) -> dict[str, Any]:
    """Every scheme on every vector, short messages, and long ones."""
    rounds, dims = (3, QUICK) if quick else (9, FULL)
    report: dict[str, Any] = {"machine": machine(), "small": small(), "cells": []}
    for kind in inputs.KINDS:
        for d in dims if quick or kind != "Gaussian" else (*dims, LONGEST):
            rows = cell(kind, d, rounds, found)
            show(rows)
            report["cells"] += rows
    return report | {"linear": linear(LINEAR[: 3 if quick else None], 3)}


def main() -> None:
    """Run, print, save, draw."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.run")
    parser.add_argument("--quick", action="store_true", help="two small sizes, a minute or two")
    parser.add_argument("--threads", action="store_true", help="that part of the last run again")
    options = parser.parse_args()
    found, missing = peers.available()
    for reason in missing:
        print(f"missing peer: {reason}")
    if options.quick:  # the committed results and figures stay
        os.environ.setdefault(files.OUTPUT_VARIABLE, "build/bench")
    path = files.output_dir() / RESULTS / "bench.json"
    if options.threads:
        report = json.loads(path.read_text("utf-8"))
    else:
        report = all_but_threads(options.quick, found) | {"missing": missing}
    fast = {row["scheme"] for row in report["cells"] if row.get("encode", 0) > SLOW}
    report["threads"] = threads(QUICK[-1] if options.quick else LONG, 5, found, fast)
    files.atomic_write(path, text(report))
    pictures.draw(report)
    print(f"\n{path}")


if __name__ == "__main__":
    main()
