"""One worker of ``benchmarks.network``: reads runs from standard input, a JSON object a line.

Worker 0 writes one line of JSON for each. A run trains the example's language model until its
validation loss is at most ``target``, its steps are done or its seconds are over. The clock and the
count of bytes stand still while the model is evaluated; both begin and end at a barrier. Bytes are
those that the kernel counts at the worker's own link, with all headers.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import train_language_model as example  # noqa: E402 - found through the line above
from language_model import Text, Transformer, read_text  # noqa: E402

from benchmarks import slow_links  # noqa: E402
from paper_code.distributed import CompressedMean, Exchange, Hook  # noqa: E402

WINDOWS = 128  # of the validation text
WARM_UP = 10  # steps, up to a step size that then stays
TIMEOUT = timedelta(seconds=90)  # of a collective
Run = dict[str, Any]


class Training:
    """The example's model and one way to average."""

    def __init__(self, run: Run, text: Text) -> None:
        self.text, self.settings = text, example.settings(run["options"])
        self.plain = Transformer(self.settings.seed)
        if path := run.get("start_from"):
            self.plain.load_state_dict(torch.load(path, weights_only=True))
        self.averaging = self._averaging(run)
        self.optimiser = torch.optim.AdamW(
            self.plain.parameters(), self.settings.lr, betas=(0.9, 0.95), weight_decay=0.01
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: min(1.0, (step + 1) / WARM_UP)
        )
        self.windows = text.validation_batch(WINDOWS)
        self.steps = 0

    def _averaging(self, run: Run) -> example.Averaging:
        if run.get("alone"):
            return example.Averaging(self.plain, lambda: None, lambda: 0)
        if self.settings.method == "outer":
            return example.parameters_averaged(self.plain, self.settings)
        return example.gradients_averaged(self.plain, self.settings, [])

    def warm_up(self) -> None:
        """Load or compile the compressor's kernels, which is no part of a run."""
        s = self.settings
        if s.compressor in example.COMPRESSORS:
            x, rng = np.random.default_rng(0).standard_normal(1 << 16), np.random.default_rng(0)
            example.COMPRESSORS[s.compressor](s).encode(x.astype(np.float32), rng).decode()

    def step(self) -> None:
        """One step on a batch of this worker's own."""
        s = self.settings
        self.optimiser.zero_grad()
        batch = self.text.batch(s.batch, s.seed, dist.get_rank(), self.steps)
        self.averaging.model(*batch).backward()
        self.optimiser.step()
        self.schedule.step()
        self.averaging.after_step()
        self.steps += 1

    def loss(self) -> float:
        """On the validation text, by worker 0; told to all."""
        found = torch.zeros(1)
        if dist.get_rank() == 0:
            with self.averaging.shared(), torch.no_grad():
                found[0] = self.plain(*self.windows)
        dist.broadcast(found, 0)
        return float(found)

    def checksum(self) -> int:
        """Of all shared parameters, bit by bit."""
        with self.averaging.shared():
            return zlib.crc32(b"".join(p.detach().numpy() for p in self.plain.parameters()))


def train(run: Run, text: Text) -> Run:
    """Time, bytes (a worker's mean) and loss at every evaluation until the run is over."""
    training = Training(run, text)
    training.warm_up()
    limit = time.monotonic() + run["seconds"]
    seconds, sent, curve, sums = 0.0, 0, [], []
    every = run["evaluate"]
    while True:
        curve.append([training.steps, round(seconds, 4), sent, round(training.loss(), 5)])
        sums.append(training.checksum())
        over = torch.tensor([time.monotonic() > limit])
        dist.broadcast(over, 0)
        if curve[-1][-1] <= run.get("target", 0) or training.steps >= run["steps"] or over:
            break
        dist.barrier()
        began, before = time.perf_counter(), slow_links.bytes_sent()
        for _ in range(every):
            training.step()
        dist.barrier()
        seconds += time.perf_counter() - began
        sent += round(mean_of_workers(slow_links.bytes_sent() - before))
    if "save" in run and dist.get_rank() == 0:
        torch.save(training.plain.state_dict(), run["save"])
    everyone: list[list[int]] = [[]] * dist.get_world_size()
    dist.all_gather_object(everyone, sums)
    return {
        "reached": curve[-1][-1] <= run.get("target", 0),
        "steps": training.steps,
        "seconds": curve[-1][1],
        "bytes": curve[-1][2],
        "loss": curve[-1][3],
        "parameters": sum(part.numel() for part in training.plain.parameters()),
        "replicas_equal": all(other == sums for other in everyone),
        "curve": curve,
    }


def mean_of_workers(value: float) -> float:
    """The mean of the workers' values, on each of them."""
    total = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / dist.get_world_size()


class TimedExchange(Exchange):
    """Notes when this worker packs, and when it waits for the others: (what, group, from, to)."""

    spans: list[tuple[str, int, float, float]]
    groups = 1

    def trade(self, pack: Any, label: int = 0, channel: int = 0) -> list[bytes]:
        """As ``Exchange.trade``, noted."""
        packed = [time.perf_counter()]

        def timed() -> Any:
            packed[0] = time.perf_counter()
            parcels = pack()
            packed.append(time.perf_counter())
            return parcels

        received = super().trade(timed, label, channel)
        if label >= 0:
            group = label % self.groups
            self.spans.append(("pack", group, packed[0], packed[-1]))
            self.spans.append(("wait", group, packed[-1], time.perf_counter()))
        return received


class TimedMean(CompressedMean):
    """Notes the whole averaging of a group."""

    def unconfirmed(self, *given: Any, **named: Any) -> Any:
        """As ``CompressedMean.unconfirmed``, noted."""
        began, exchange = time.perf_counter(), self.exchange
        done = super().unconfirmed(*given, **named)
        exchange.spans.append(("average", given[4] % exchange.groups, began, time.perf_counter()))
        return done


def timeline(run: Run, text: Text) -> Run:
    """Milliseconds of the steps, and what happened when in the median one, at worker 0."""
    s = example.settings(run["options"])
    training = Training({**run, "alone": True}, text)
    exchange = TimedExchange()
    exchange.spans = []
    compressor = example.COMPRESSORS[s.compressor](s)
    averaging = Hook(TimedMean(compressor, exchange), seed=s.seed, **run["hook"])
    model = torch.nn.parallel.DistributedDataParallel(training.plain, init_sync=False)
    model.register_comm_hook(training.plain, averaging)
    found = []
    for number in range(run["steps"]):
        exchange.spans.clear()
        dist.barrier()
        began = time.perf_counter()
        training.optimiser.zero_grad()
        loss = model(*text.batch(s.batch, s.seed, dist.get_rank(), number))
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        training.optimiser.step()
        ended = time.perf_counter()
        exchange.groups = max(1, len(averaging._groups))
        spans = [
            ("forward", -1, began, forward),
            ("backward", -1, forward, backward),
            ("update", -1, backward, ended),
            *exchange.spans,
        ]
        told = [[what, g, *(round(1e3 * (t - began), 3) for t in ends)] for what, g, *ends in spans]
        found.append((ended - began, told))
    warm = sorted(found[3:])  # the first steps set buckets and memories up
    return {
        "milliseconds": [round(1e3 * length, 3) for length, _ in found[3:]],
        "spans": warm[len(warm) // 2][1],
        "groups": exchange.groups,
    }


def codec(run: Run, text: Text) -> Run:
    """Bits, and processor seconds to encode and to decode, medians of seven.

    Of a gradient for the hook, of what ``every`` local steps change for outer steps.
    """
    s = example.settings(run["options"])
    training = Training({**run, "alone": True}, text)
    before = _vector(training.plain.parameters())
    if s.method == "outer":
        for _ in range(s.every):
            training.step()
        x = _vector(training.plain.parameters()) - before
    else:
        training.plain(*text.batch(s.batch, s.seed, dist.get_rank(), 0)).backward()
        x = _vector(part.grad for part in training.plain.parameters())
    compressor, times = example.COMPRESSORS[s.compressor](s), []
    for _ in range(8):
        started = time.thread_time()
        message, _ = compressor.encode_and_decode(x, np.random.default_rng(0))
        encoded = time.thread_time()
        message.decode()
        times.append((encoded - started, time.thread_time() - encoded))
    encode, decode = np.median(times[1:], axis=0).tolist()
    return {"bits": message.bits / x.size, "d": x.size, "encode": encode, "decode": decode}


def _vector(parts: Iterable[torch.Tensor]) -> np.ndarray:
    return torch.cat([part.detach().reshape(-1) for part in parts]).numpy()


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=TIMEOUT)
    text, kinds = read_text(), {"train": train, "timeline": timeline, "codec": codec}
    for line in sys.stdin:
        run = json.loads(line)
        result = kinds[run.get("kind", "train")](run, text)
        if dist.get_rank() == 0:
            print(json.dumps(result), flush=True)
    sys.stdout.flush()
    os._exit(0)  # the others' sockets are not missed


if __name__ == "__main__":
    main()
