"""Train over links that are really slow: python -m benchmarks.network [--budget MINUTES] [--quick].

Four workers in network namespaces of this machine (``slow_links``) train the example's language
model by every method until its validation loss reaches a target: seconds by the wall clock, bytes
by the kernel's counter at a worker's link. Writes benchmarks/results/network.json after every run,
so that what is cut short leaves what was measured. Needs root; where there are no namespaces it
says so and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paper_code.companion import files

from . import slow_links

RESULTS = Path("benchmarks/results/network.json")
WORKERS = 4
LINKS = (10e6, 100e6, 1e9)  # bits a second, each way: the slowest tells most, so it comes first
STARTS = {"warm": 1.95, "scratch": 2.6}  # validation loss to reach, nats a character
WARM_STEPS = 400  # of one process that sees the batches of all workers, before a warm start
ANSWER = 120.0  # seconds beyond a run's own within which its result must come
Record = dict[str, Any]

DDP, OUTER = ("--method", "ddp"), ("--method", "outer", "--every", "20")
METHODS: dict[str, tuple[str, ...]] = {
    "float32": (*DDP, "--compressor", "none"),
    "float16": (*DDP, "--compressor", "fp16"),
    "PowerSGD, rank 2": (*DDP, "--compressor", "powersgd", "--rank", "2"),
    "hook, entropy-coded SD 0.2": (*DDP, "--compressor", "entropy-coded-sd", "--alpha", "0.2"),
    "hook, trellis 0.9": (*DDP, "--compressor", "trellis", "--alpha", "0.9"),
    "outer, float32": (*OUTER, "--compressor", "none"),
    "outer, trellis 0.2": (*OUTER, "--compressor", "trellis", "--alpha", "0.2"),
    "outer, trellis 0.9": (*OUTER, "--compressor", "trellis", "--alpha", "0.9"),
    "outer, ChunkedTopK": (*OUTER, "--compressor", "chunked-top-k"),
}
COMMON = ("--lr", "1e-3", "--batch", "8")


class Failed(RuntimeError):
    """A worker ended, or did not answer."""


class Session:
    """The workers' processes, one in each namespace."""

    def __init__(self, network: slow_links.Network) -> None:
        shared = {
            "WORLD_SIZE": str(WORKERS),
            "MASTER_ADDR": network.address(0),
            "MASTER_PORT": "29500",
            "GLOO_SOCKET_IFNAME": slow_links.DEVICE,
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the workers live
        command = [sys.executable, str(Path(__file__).with_name("network_worker.py"))]
        self.workers = [
            subprocess.Popen(
                [*network.inside(rank), *command],
                env=os.environ | shared | {"RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
                start_new_session=True,
            )
            for rank in range(WORKERS)
        ]

    def ask(self, run: Record) -> Record:
        """What worker 0 answers to a run. Raises Failed with what the workers wrote."""
        try:
            for worker in self.workers:
                worker.stdin.write(json.dumps(run) + "\n")
                worker.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._words()) from None
        answer, end = self.workers[0].stdout, time.monotonic() + run.get("seconds", 0) + ANSWER
        with selectors.DefaultSelector() as selector:
            selector.register(answer, selectors.EVENT_READ)
            while not selector.select(0.5):
                if any(worker.poll() is not None for worker in self.workers):
                    raise Failed(self._words())
                if time.monotonic() > end:
                    raise Failed(f"no answer within {ANSWER:.0f} s of the run's end")
        if not (line := answer.readline()):
            raise Failed(self._words())
        return json.loads(line)

    def _words(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-2000:] or "a worker ended without a word"

    def close(self) -> None:
        """End the workers, whatever they do."""
        for worker in self.workers:
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()
        for worker in self.workers:
            if worker.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            worker.stdout.close()
        self.errors.close()


class Measurement:
    """The report so far, and the workers that answer its runs."""

    def __init__(self, network: slow_links.Network, path: Path, budget: float) -> None:
        self.network, self.path, self.end = network, path, time.monotonic() + budget
        self.report: Record = {"machine": machine(), "settings": {}, "runs": [], "left_out": []}
        self.session: Session | None = None

    def run(self, kind: str, link: float, name: str, run: Record) -> Record | None:
        """One run, kept in the report; None, and a word in ``left_out``, where it failed."""
        facts = {"kind": kind, "link": link, "name": name, **told(run)}
        left = self.end - time.monotonic()
        if left < 15:
            return self._leave_out(facts, "the budget was used up")
        run = {"kind": kind, **run, "seconds": min(run.get("seconds", 60.0), left)}
        self.network.shape(link)
        try:
            self.session = self.session or Session(self.network)
            result = self.session.ask(run)
        except Failed as failure:
            self.close()
            return self._leave_out(facts, str(failure))
        self.report["runs"].append({**facts, **result})
        self._write()
        print(summary(self.report["runs"][-1]), flush=True)
        return result

    def _leave_out(self, facts: Record, reason: str) -> None:
        self.report["left_out"].append({**facts, "reason": reason})
        self._write()
        print(f"left out: {facts['name']} at {facts['link']:g} bit/s: {reason}", flush=True)

    def _write(self) -> None:
        files.atomic_write(self.path, text(self.report))

    def close(self) -> None:
        """End the workers; the next run starts new ones."""
        if self.session:
            self.session.close()
        self.session = None


def told(run: Record) -> Record:
    """What of a run's settings stands beside its result."""
    return {name: run[name] for name in ("start", "seed", "target", "hook") if name in run}


def summary(run: Record) -> str:
    """A line for the screen."""
    words = f"{run['link'] / 1e6:5g} Mbit/s  {run.get('start', ''):8} {run['name']:28}"
    if run["kind"] == "codec":
        return f"{words} {run['bits']:.3f} bits, {run['encode']:.4f} s, {run['decode']:.4f} s"
    if run["kind"] == "timeline":
        return f"{words} {np.median(run['milliseconds']):8.1f} ms a step, {run['groups']} groups"
    reached = "" if run["reached"] or "target" not in run else "  target not reached"
    return (
        f"{words} {run['steps']:5} steps {run['seconds']:8.2f} s {run['bytes'] / 1e6:9.3f} MB"
        f"  loss {run['loss']:.3f}{reached}"
    )


def machine() -> Record:
    """Where and with what it ran."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": model[0] if model else platform.machine(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def text(report: Record) -> str:
    """JSON with a line for each run."""
    parts = []
    for name, value in report.items():
        lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value)
        rows = isinstance(value, list) and value
        shown = f"[\n  {lines}\n ]" if rows else json.dumps(value, ensure_ascii=False)
        parts.append(f' "{name}": {shown}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def training_run(name: str, start: str, seed: int, warm: str | None, seconds: float) -> Record:
    """Train by that method until the target of that start."""
    return {
        "options": [*METHODS[name], *COMMON, "--seed", str(seed)],
        "start": start,
        "start_from": warm if start == "warm" else None,
        "seed": seed,
        "target": STARTS[start],
        "evaluate": 20 if "outer" in METHODS[name] else 5,
        "steps": 600,
        "seconds": seconds,
    }


def plan(quick: bool, warm: str | None) -> Iterator[tuple[str, float, str, Record]]:
    """Kind, link, name and settings of every run, the most telling first."""
    hook = METHODS["hook, entropy-coded SD 0.2"]
    if quick:
        for name in ("PowerSGD, rank 2", "hook, entropy-coded SD 0.2"):
            run = training_run(name, "scratch", 0, None, 15)
            yield "train", LINKS[1], name, {**run, "steps": 5, "target": 0}
        return
    yield from timelines(hook)
    for seed in (0, 1, 2):
        for start in STARTS if seed == 0 else ("warm",):
            for link in LINKS:
                for name in METHODS if seed == 0 else SHORT:
                    yield "train", link, name, training_run(name, start, seed, warm, 420)


SHORT = ("PowerSGD, rank 2", *(name for name in METHODS if name.startswith("outer")))
"""Methods whose runs are short enough to be repeated with other seeds."""


def timelines(method: tuple[str, ...]) -> Iterator[tuple[str, float, str, Record]]:
    """Steps of the hook, waiting hidden and not, and what they are made of."""
    options = {"options": [*method, *COMMON]}
    for name in ("hook, entropy-coded SD 0.2", "hook, trellis 0.9"):
        yield "codec", LINKS[-1], name, {"options": [*METHODS[name], *COMMON]}
    alone = {**options, "alone": True, "steps": 20, "evaluate": 20}
    yield "train", LINKS[-1], "no communication", alone
    for link in (LINKS[-1], LINKS[0]):
        for name, hook in HOOKS.items():
            yield "timeline", link, name, {**options, "hook": hook, "steps": 23}


HOOKS = {
    "one group after the backward pass": {"group_size": 1 << 30, "in_flight": 1},
    "groups in flight": {},
}
"""Without and with averaging during the backward pass and beside other groups."""


def warm_start(measurement: Measurement) -> str:
    """A file of parameters that the fastest link's float32 training left after WARM_STEPS."""
    path = files.output_dir() / "build" / "network-warm.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    run = {"options": [*METHODS["float32"], *COMMON], "save": str(path), "start": "scratch"}
    run |= {"steps": WARM_STEPS, "evaluate": WARM_STEPS // 10, "seconds": 300}
    if not measurement.run("train", LINKS[-1], "float32, for the warm start", run):
        raise SystemExit("the warm start could not be trained")
    return str(path)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.network")
    parser.add_argument("--budget", type=float, default=40, help="minutes in all")
    parser.add_argument("--quick", action="store_true", help="one link, two methods, a few steps")
    options = parser.parse_args()
    if reason := slow_links.why_not():
        sys.exit(f"network: skipped, nothing was measured: {reason}")
    if options.quick:  # the committed results stay
        os.environ.setdefault(files.OUTPUT_VARIABLE, "build/network")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that namespaces are removed
    path = files.output_dir() / RESULTS
    with slow_links.network(WORKERS) as network:
        measurement = Measurement(network, path, 60 * options.budget)
        try:
            warm = None if options.quick else warm_start(measurement)
            for kind, link, name, run in plan(options.quick, warm):
                measurement.run(kind, link, name, run)
        finally:
            measurement.close()
    print(f"\n{path}")


if __name__ == "__main__":
    main()
