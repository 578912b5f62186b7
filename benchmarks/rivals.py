"""Ours at the error that each peer reached: bits and speed, in one run.

    make rivals    (python -m benchmarks.rivals [--nncodec PYTHON] [--quick | --redraw])

Every peer of ``peers`` that can be imported, and NNCodec, the ISO standard for neural networks
(ISO/IEC 15938-17), in the environment whose Python is named. Processor time of one thread,
interleaved, medians. All bits are of arrays or byte strings that were really made; a peer's
settings are not counted, ours travel in the frame. Writes benchmarks/results/rivals.json,
figures/bench_rivals.svg and .png, and the table in README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paper_code import (
    Compressor,
    ConvolutionalCompression,
    EntropyCodedSparseDithering,
    TrellisCompression,
)
from paper_code.companion import figures, files
from paper_code.compressors.contract import Look
from paper_code.evaluation.measure import distortion

from . import peers, pictures, real_vectors, run, schemes
from .clock import Row
from .schemes import Scheme, Vector

LONG = 1 << 20
PATH = run.RESULTS / "rivals.json"
DEPENDENT = "NNCodec, dependent, qp -4", "NNCodec, dependent, qp 0"
FINEST = 1e-4  # errors below it, those of casts to 16 bits, are not met
BUDGET = 1.5  # seconds after which a scheme is not timed again
README_MARKS = "<!-- rivals: written by `make rivals` -->", "<!-- end of rivals -->"


class Once(NamedTuple):
    """A vector encoded and decoded: seconds of the thread, bits, and what the receiver holds."""

    encode: float
    decode: float
    bits: int
    held: Vector


class Local:
    """A scheme of this process."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme, self.name, self.unbiased = scheme, scheme.name, scheme.unbiased

    def once(self, x: Vector) -> Once:
        """Encode and decode."""
        start = time.thread_time()
        packet = self.scheme.encode(x)
        middle = time.thread_time()
        held = self.scheme.decode(packet)
        return Once(middle - start, time.thread_time() - middle, self.scheme.bits(packet), held)


class NNCodec:
    """NNCodec in a process of its own."""

    def __init__(self, python: Path) -> None:
        command = [python, Path(__file__).with_name("nncodec_server.py")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(command, text=True, **pipes)
        self._loaded: Vector | None = None

    def ask(self, x: Vector, **request: object) -> Once:
        """Encode and decode there."""
        path = Path(self._folder.name) / "held.npy"
        if self._loaded is not x:
            np.save(path, x)
            self._answer(load=str(path))
            self._loaded = x
        found = self._answer(**request, keep=str(path))
        return Once(found["encode"], found["decode"], 8 * found["bytes"], np.load(path))

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def _answer(self, **request: object) -> dict[str, Any]:
        print(json.dumps(request), file=self._process.stdin, flush=True)
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"NNCodec ended with status {self._process.wait()}")
        return json.loads(line)

    def settings(self) -> list[Remote]:
        """Dependent quantisation (a trellis of 8 states) and plain, near errors .05 and .16."""
        return [
            Remote(self, DEPENDENT[0], qp=-4, dq=True, search=True),
            Remote(self, DEPENDENT[1], qp=0, dq=True, search=True),
            Remote(self, "NNCodec, dependent, no search, qp -4", qp=-4, dq=True, search=False),
            Remote(self, "NNCodec, dependent, no search, qp 0", qp=0, dq=True, search=False),
            Remote(self, "NNCodec, plain, qp -1", qp=-1, dq=False, search=True),
            Remote(self, "NNCodec, plain, qp 1", qp=1, dq=False, search=True),
        ]


class Remote:
    """NNCodec with settings of its own; to search for its coder's parameters is its default."""

    unbiased = False

    def __init__(self, codec: NNCodec, name: str, **settings: object) -> None:
        self.codec, self.name, self.settings = codec, name, settings

    def once(self, x: Vector) -> Once:
        """Encode and decode."""
        return self.codec.ask(x, **self.settings)


Contestant = Local | Remote
LOOKS = {
    type(each).__name__: each.look
    for each in (
        TrellisCompression(0.1),
        EntropyCodedSparseDithering(0.1),
        ConvolutionalCompression(0.9),
    )
}


def ours_at(rival: Contestant, error: float) -> Iterator[Compressor]:
    """Our schemes at the error that a rival reached: unbiased ones if it is, more for NNCodec."""
    if rival.unbiased:
        yield TrellisCompression(error / (1 + error), unbiased=True)
        return
    for states in (8, 64, 256) if isinstance(rival, Remote) else (TrellisCompression.states,):
        yield TrellisCompression(error, states)
    yield EntropyCodedSparseDithering(error)
    if error >= 0.55:
        yield ConvolutionalCompression(error)


def vectors(d: int) -> dict[str, Vector]:
    """Drawn ones of d coordinates and a gradient of a transformer, of unit power a coordinate."""
    drawn = real_vectors.drawn(d)
    found = {name: drawn[name] for name in ("normal", "Laplace", "t(3)")}
    found["real gradient"] = real_vectors.trained()["transformer, gradient"][:d]
    return {
        name: x / np.float32(math.sqrt(np.mean(x.astype(float) ** 2))) for name, x in found.items()
    }


def compare(name: str, x: Vector, rivals: Sequence[Contestant], rounds: int) -> list[Row]:
    """A row for each rival on x, followed by rows for ours at its error."""
    rng, pairs = np.random.default_rng(2), []
    for rival in rivals:
        seen = rival.once(x)
        pairs.append((rival, rival, seen))
        if FINEST < (error := distortion(x, seen.held)) < 1:  # else there is nothing to meet
            for compressor in ours_at(rival, error):
                own = Local(schemes.scheme(compressor, rng))
                pairs.append((rival, own, own.once(x)))
    times: list[list[Once]] = [[] for _ in pairs]
    for _ in range(rounds):
        for (_, each, _), own in zip(pairs, times, strict=True):
            if sum(once.encode + once.decode for once in own) < BUDGET:
                own.append(each.once(x)._replace(held=x[:0]))
    return [
        {"vector": name, "d": x.size, "peer": rival.name, **_row(x, each, seen, own)}
        for (rival, each, seen), own in zip(pairs, times, strict=True)
    ]


def _row(x: Vector, each: Contestant, seen: Once, own: Sequence[Once]) -> Row:
    """Bits and error of what was seen, the distance to the bound, median speeds in MB/s of x."""
    bits, error = seen.bits / x.size, distortion(x, seen.held)
    alpha = error / (1 + error) if each.unbiased else error
    return {
        "scheme": each.name,
        "unbiased": each.unbiased,
        "bits": bits,
        "error": error,
        "gap": bits + 0.5 * math.log2(alpha) if alpha else None,
        "encode": x.nbytes / 1e6 / statistics.median(once.encode for once in own),
        "decode": x.nbytes / 1e6 / statistics.median(once.decode for once in own),
        "rounds": len(own),
    }


def draw(rows: Sequence[Row]) -> None:
    """Gap to the bound against speed on normal vectors, encoding and decoding."""
    normal = [row for row in rows if row["vector"] == "normal" and row["gap"] is not None]
    met = DEPENDENT[-1] if DEPENDENT[-1] in {row["peer"] for row in normal} else peers.REFERENCE
    shown: dict[Look, list[Row]] = {}
    for row in normal:
        if "no search" not in row["peer"] and (row["scheme"] == row["peer"] or row["peer"] == met):
            shown.setdefault(_look(row), []).append(row)
    figure, axes = figures.new(13, 6.2, columns=2)
    for ax, way in zip(axes, ("encode", "decode"), strict=True):
        for look, own in shown.items():
            style = {"color": look.color, "marker": look.marker, "label": look.label}
            face = "white" if own[0]["unbiased"] else look.color
            points = [row[way] for row in own], [row["gap"] for row in own]
            ax.plot(*points, **style, markersize=8, linewidth=1, markerfacecolor=face, zorder=5)
        speeds = [row[way] for row in normal]
        ax.set(xscale="log", yscale="log", xlim=(min(speeds) / 5, 6 * max(speeds)))
        ax.set(ylim=(0.025, 12), xlabel=f"{way[:-1]}ing, MB/s of float32, one thread")
        ax.set_yticks([0.03, 0.1, 0.3, 1, 3, 10], ["0.03", "0.1", "0.3", "1", "3", "10"])
        ax.minorticks_off()
    axes[0].set_ylabel("bits per coordinate above ½ log₂(1/error)")
    count = f"{normal[0]['d']:,}".replace(",", "\N{THIN SPACE}")
    error = next(row["error"] for row in normal if row["scheme"] == met)
    axes[0].set_title(f"Normal vector, d = {count}; coloured: ours, at error {error:.2f}")
    axes[1].set_title("Grey: packages, each at its own error; hollow: unbiased")
    for ax in axes:
        pictures.label_points(ax)
    figures.write(figure, files.output_dir() / "figures", "bench_rivals")


def _look(row: Row) -> Look:
    """Ours have their own; peers are grey, and the settings of one are one line."""
    if row["scheme"] == row["peer"]:
        return Look(re.sub(r", (qp )?-?\d( bits?)?$", "", row["peer"]), pictures.PEER, "o")
    name, _, settings = row["scheme"].partition("(")
    look = LOOKS[name]
    states = re.search(r"states=(\d+)", settings)
    return look._replace(label=f"{look.label}, {states[1]} states") if states else look


def table(rows: Sequence[Row]) -> str:
    """The trellis against NNCodec on normal vectors and on a real gradient, as Markdown."""
    lines = [
        "| vector, error | scheme | bits per coordinate | encode, MB/s | decode, MB/s |",
        "|---|---|---|---|---|",
    ]
    for vector in ("normal", "real gradient"):
        for peer in DEPENDENT:
            for row in rows:
                if (row["vector"], row["peer"]) != (vector, peer) or "SparseD" in row["scheme"]:
                    continue
                name = peer if row["scheme"] == peer else f"**{_look(row).label}**"
                where = f"{vector}, {row['error']:.3f}" if row["scheme"] == peer else ""
                speeds = f"{row['encode']:.0f} | {row['decode']:.0f}"
                lines.append(f"| {where} | {name} | {row['bits']:.3f} | {speeds} |")
    return "\n".join(lines)


def with_table(readme: str, rows: Sequence[Row]) -> str:
    """README with the table between its marks written anew."""
    head, rest = readme.split(README_MARKS[0])
    return (
        f"{head}{README_MARKS[0]}\n{table(rows)}\n{README_MARKS[1]}{rest.split(README_MARKS[1])[1]}"
    )


def measure(python: Path | None, quick: bool) -> Row:
    """Every rival that is there on every vector, and why the others are not."""
    found, missing = peers.available()
    contestants: list[Contestant] = list(map(Local, found))
    if python is None:
        missing.append("NNCodec: name the Python of its environment, --nncodec PYTHON")
    else:
        codec = NNCodec(python)
        contestants += codec.settings()
    for reason in missing:
        print(f"missing peer: {reason}")
    rows: list[Row] = []
    for name, x in vectors(1 << 16 if quick else LONG).items():
        rows += compare(name, x, contestants, 5 if name == "normal" else 2)
        show([row for row in rows if row["vector"] == name])
    if python:
        codec.close()
    return {"machine": run.machine(), "missing": missing, "rivals": rows}


def show(rows: Sequence[Row]) -> None:
    """Print one vector's rows; ours are indented below the rival whose error they met."""
    print(f"\n{rows[0]['vector']}, d = {rows[0]['d']}: bits, error, gap, MB/s encode and decode")
    for row in rows:
        gap = "      -" if row["gap"] is None else f"{row['gap']:7.3f}"
        name = row["scheme"] if row["scheme"] == row["peer"] else f"  {row['scheme']}"
        print(
            f"  {name:62} {row['bits']:8.4f} {row['error']:9.3e} {gap}"
            f" {row['encode']:8.1f} {row['decode']:8.1f}",
            flush=True,
        )


def main() -> None:
    """Measure, save, draw, and write README's table."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.rivals")
    parser.add_argument("--nncodec", type=Path, help="Python of an environment with NNCodec")
    parser.add_argument("--quick", action="store_true", help="short vectors, into build/bench")
    parser.add_argument("--redraw", action="store_true", help="from the committed results")
    options = parser.parse_args()
    if options.quick:  # the committed results, figures and README stay
        os.environ.setdefault(files.OUTPUT_VARIABLE, "build/bench")
    path = files.output_dir() / PATH
    if not options.redraw:
        files.atomic_write(path, run.text(measure(options.nncodec, options.quick)))
    rows = json.loads(path.read_text("utf-8"))["rivals"]
    draw(rows)
    if not options.quick:
        readme = files.ROOT / "README.md"
        files.atomic_write(readme, with_table(readme.read_text("utf-8"), rows))


if __name__ == "__main__":
    main()
