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
import itertools
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paper_code.companion import files

from . import slow_links

RESULTS = Path("benchmarks/results/network.json")
WORKERS = 4
LINKS = (10e6, 100e6, 1e9)  # bits a second, each way: the slowest tells most, so it comes first
REFERENCE_STEPS = {"warm": 60, "scratch": 60}
"""After so many steps of float32 the validation loss is the target of all methods."""
WARM_STEPS, WARM_SEED = 400, 1000  # of float32 before a warm start, on batches of its own
MOST_STEPS, MOST_SECONDS = 400, 420.0  # of a run
WARM, WARM_EVALUATE = "float32, for the warm start", 50  # name, steps
ANSWER = 120.0  # seconds beyond a run's own within which its result must come
Record = dict[str, Any]

DDP, OUTER = ("--method", "ddp"), ("--method", "outer", "--every", "20")
USERS_RECIPE = ("--stages", "1", "--carry", "no", "--memory-decay", "0.95", "--outer-lr", "1")
IN_CHUNKS = ("--alpha", "0.957", "--chunk", "1024")
METHODS: dict[str, tuple[str, ...]] = {
    "float32": (*DDP, "--compressor", "none"),
    "float16": (*DDP, "--compressor", "fp16"),
    "PowerSGD, rank 4": (*DDP, "--compressor", "powersgd", "--rank", "4"),
    "hook, SD 0.1, bitmap": (*DDP, "--compressor", "sd", "--alpha", "0.1"),
    "hook, entropy-coded SD 0.2": (*DDP, "--compressor", "entropy-coded-sd", "--alpha", "0.2"),
    "outer, float32": (*OUTER, "--compressor", "none"),
    "outer, trellis 0.2": (*OUTER, "--compressor", "trellis", "--alpha", "0.2"),
    "outer, trellis 0.6": (*OUTER, "--compressor", "trellis", "--alpha", "0.6"),
    "outer, trellis 0.9": (*OUTER, "--compressor", "trellis", "--alpha", "0.9"),
    "outer, convolutional 0.97": (*OUTER, "--compressor", "convolutional", "--alpha", "0.97"),
    "outer, SD in chunks 0.957": (*OUTER, "--compressor", "chunked-sd", *IN_CHUNKS),
    "outer, ChunkedTopK": (*OUTER, "--compressor", "chunked-top-k", *USERS_RECIPE),
}
COMMON = ("--lr", "1e-3", "--batch", "8")
QUICK = ("hook, entropy-coded SD 0.2", "PowerSGD, rank 4")
COMPRESSED = tuple(name for name in METHODS if "0." in name)
SHORT = tuple(name for name in METHODS if name.startswith("outer, trellis"))
LONG_RUNS = ("float16", "hook, SD 0.1, bitmap")  # left out where runs are longest
ROUNDS: list[tuple[str, int, Sequence[float], Sequence[str]]] = [
    ("warm", 0, LINKS, tuple(METHODS)),
    ("warm", 1, LINKS[:1], SHORT),
    ("warm", 2, LINKS[:1], SHORT),
    ("scratch", 0, LINKS[1:], tuple(METHODS)),
    ("scratch", 0, LINKS[:1], tuple(name for name in METHODS if name not in LONG_RUNS)),
]
"""Starts, seeds, links and methods: the most telling first, should the budget end."""
HOOKS = {
    "one group after the backward pass": {"group_size": 1 << 30, "in_flight": 1},
    "groups in flight": {},
}
"""Without and with averaging during the backward pass and beside other groups."""
BATCHES = (8, 32)  # sequences of a worker in a step: how long its backward pass is
TIMELINE_STEPS, TIMELINE_ROUNDS = 18, 3  # in turn, as other work on the machine comes and goes


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
        lines = [line for line in self.errors.read().splitlines() if "Error: " in line]
        return lines[-1] if lines else "a worker ended without a word"

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
        settings = {"workers": WORKERS, "links": LINKS, "common": COMMON, "methods": METHODS}
        settings |= {"reference_steps": REFERENCE_STEPS, "warm_steps": WARM_STEPS}
        self.report: Record = {
            "machine": machine(),
            "settings": settings,
            "runs": [],
            "left_out": [],
        }
        self.session: Session | None = None

    def go_on_from_the_last(self) -> None:
        """Keep what the last measurement found. Raises FileNotFoundError where there is none."""
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path} is not there: measure everything first")
        self.report = json.loads(self.path.read_text("utf-8"))
        if not warm_path().exists():
            warm_up(self)

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
    names = ("start", "seed", "target", "hook", "batch")
    return {name: run[name] for name in names if name in run}


def summary(run: Record) -> str:
    """A line for the screen."""
    words = f"{run['link'] / 1e6:5g} Mbit/s  {run.get('start', ''):8} {run['name']:28}"
    if run["kind"] == "codec":
        return f"{words} {run['bits']:.3f} bits, {run['encode']:.4f} s, {run['decode']:.4f} s"
    if run["kind"] == "timeline":
        step = f"{np.median(run['milliseconds']):8.1f} ms a step of {run['batch']}"
        return f"{words} {step}, {run['groups']} groups"
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


def training_run(name: str, start: str, seed: int, **more: Any) -> Record:
    """Train by that method; ``more`` are settings that differ."""
    evaluate = 20 if "outer" in METHODS[name] else 5
    return {
        "options": [*METHODS[name], *COMMON, "--seed", str(seed)],
        "start": start,
        "start_from": str(warm_path()) if start == "warm" else None,
        "seed": seed,
        "evaluate": evaluate,
        "steps": MOST_STEPS,
        "seconds": MOST_SECONDS,
        **more,
    }


def quick(measurement: Measurement) -> None:
    """A few steps of two methods over one link."""
    for name in QUICK:
        run = training_run(name, "scratch", 0, steps=5, seconds=30)
        measurement.run("train", LINKS[1], name, run)


def everything(measurement: Measurement) -> None:
    """Prepare, learn the targets on the fastest link, then every method on every link."""
    fastest = LINKS[-1]
    alone = training_run("float32", "scratch", 0, alone=True, steps=20, evaluate=20)
    measurement.run("train", fastest, "no communication", alone)
    warm_up(measurement)
    codecs(measurement)
    timelines(measurement)
    targets = measurement.report["settings"]["targets"] = {}
    for start, steps in REFERENCE_STEPS.items():
        found = measurement.run(
            "train", fastest, "float32", training_run("float32", start, 0, steps=steps)
        )
        if found:
            targets[start] = min(point[-1] for point in found["curve"])
    trainings(measurement)


def codecs(measurement: Measurement) -> None:
    """What encoding and decoding take, but for what the report has already."""
    done = {each["name"] for each in measurement.report["runs"] if each["kind"] == "codec"}
    for name in COMPRESSED:
        if name not in done:
            options = {"options": [*METHODS[name], *COMMON], "start_from": str(warm_path())}
            measurement.run("codec", LINKS[-1], name, options)


def trainings(measurement: Measurement) -> None:
    """Every method on every link, but for what the report has already."""
    report = measurement.report
    done = {
        (each["start"], each["seed"], each["link"], each["name"])
        for each in report["runs"]
        if each["kind"] == "train" and each["name"] in METHODS
    }
    targets = report["settings"]["targets"]
    for start, seed, links, names in ROUNDS:
        for link, name in itertools.product(links if start in targets else (), names):
            if (start, seed, link, name) not in done:
                run = training_run(name, start, seed, target=targets[start])
                measurement.run("train", link, name, run)


def warm_up(measurement: Measurement) -> None:
    """Train the parameters with which the warm starts begin."""
    run = training_run("float32", "scratch", WARM_SEED, steps=WARM_STEPS, save=str(warm_path()))
    run["evaluate"] = WARM_EVALUATE
    report = measurement.report
    report["runs"] = [each for each in report["runs"] if each["name"] != WARM]
    measurement.run("train", LINKS[-1], WARM, run)


def timelines(measurement: Measurement) -> None:
    """Steps of the hook, waiting hidden and not, over a fast and a slow link."""
    name = "hook, entropy-coded SD 0.2"
    each = itertools.product(range(TIMELINE_ROUNDS), BATCHES, (LINKS[-1], LINKS[0]), HOOKS.items())
    for _, batch, link, (way, hook) in each:
        options = [*METHODS[name], *COMMON, "--batch", str(batch)]
        run = {"options": options, "batch": batch, "start_from": str(warm_path()), "hook": hook}
        measurement.run("timeline", link, way, {**run, "steps": TIMELINE_STEPS})


def timelines_again(measurement: Measurement) -> None:
    """That part of the last measurement once more."""
    measurement.go_on_from_the_last()
    runs = measurement.report["runs"]
    measurement.report["runs"] = [each for each in runs if each["kind"] != "timeline"]
    measurement.report["timelines_by"] = machine()
    timelines(measurement)


def rest(measurement: Measurement) -> None:
    """The trainings and codecs that the last one left out, cut short, or did not know of."""
    measurement.go_on_from_the_last()
    report = measurement.report
    report["runs"] = [
        each
        for each in report["runs"]
        if "target" not in each or each["reached"] or each["steps"] >= MOST_STEPS
    ]
    report["left_out"] = [each for each in report["left_out"] if each["kind"] == "timeline"]
    report["settings"]["methods"] = METHODS
    codecs(measurement)
    trainings(measurement)


def warm_path() -> Path:
    """Where the parameters of the warm start are kept for a run."""
    return files.output_dir() / "build" / "network-warm.pt"


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.network")
    parser.add_argument("--budget", type=float, default=40, help="minutes in all")
    parts = {"quick": quick, "timelines": timelines_again, "rest": rest}
    for name, part in parts.items():
        words = part.__doc__.partition("\n")[0].lower()
        parser.add_argument(f"--{name}", action="store_true", help=words)
    options = parser.parse_args()
    (part,) = [part for name, part in parts.items() if vars(options)[name]] or [everything]
    if reason := slow_links.why_not():
        sys.exit(f"skipped, nothing was measured: {reason}")
    if options.quick:  # the committed results stay
        os.environ.setdefault(files.OUTPUT_VARIABLE, "build/network")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that namespaces are removed
    path = files.output_dir() / RESULTS
    warm_path().parent.mkdir(parents=True, exist_ok=True)
    with slow_links.network(WORKERS) as network:
        measurement = Measurement(network, path, 60 * options.budget)
        try:
            part(measurement)
        finally:
            measurement.close()
    print(f"\n{path}")


if __name__ == "__main__":
    main()
