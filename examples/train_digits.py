"""Train a small network on scikit-learn's digits in several processes, and count what they send.

    torchrun --nproc-per-node 4 examples/train_digits.py --compressor trellis --alpha 0.5

Needs scikit-learn and torch. Every process has its own share of the training images. Besides this
library's compressors, `none` averages float32 gradients, and `fp16` and `powersgd` are PyTorch's
hooks; their all-reduce counts as a ring's, 2 (n - 1) / n of its data for each process.
"""

import argparse
import importlib
import json
import multiprocessing
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from methods import COMPRESSORS, REFERENCES, add_options, counted_all_reduce, register_reference
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel

from paper_code.companion import files
from paper_code.distributed import ddp

Settings = argparse.Namespace
FEEDBACK = {"auto": None, "on": True, "off": False}
TRAIN_IMAGES = 1437


def settings() -> Settings:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [*REFERENCES, *COMPRESSORS]
    parser.add_argument("--compressor", nargs="+", default=["trellis"], choices=names)
    add_options(parser)
    parser.add_argument("--error-feedback", default="auto", choices=FEEDBACK)
    parser.add_argument("--stages", type=int, choices=(1, 2), help="of the exchange")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32, help="images a process takes a step")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="a run for each")
    parser.add_argument("--processes", type=int, help="start so many, without torchrun")
    parser.add_argument("--output", type=Path, help="a JSON file for the results")
    return parser.parse_args()


def digits(rank: int, n: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """This process's share of the training images, and the test images: (pixels, labels) each."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    rows = order[:TRAIN_IMAGES][rank::n], order[TRAIN_IMAGES:]
    pixels, labels = data.data.astype(np.float32) / 16, data.target
    return tuple((torch.from_numpy(pixels[own]), torch.from_numpy(labels[own])) for own in rows)


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(64, 256), torch.nn.Linear(256, 200), torch.nn.Linear(200, 10)]
    return torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])


def register(model: DistributedDataParallel, name: str, s: Settings, seed: int) -> ddp.Hook | None:
    """Give the model the hook of that name; our own ones count what they send."""
    if name in COMPRESSORS:
        feedback = FEEDBACK[s.error_feedback]
        hook = ddp.hook(COMPRESSORS[name](s), feedback, stages=s.stages, seed=seed)
        model.register_comm_hook(model.module, hook)
        return hook
    register_reference(model, name, s.rank)
    return None


def train(name: str, s: Settings, seed: int) -> dict[str, object]:
    """Train with the compressor of that name: accuracy in per cent, bytes that a process sends."""
    rank, n = dist.get_rank(), dist.get_world_size()
    (pixels, labels), (test_pixels, test_labels) = digits(rank, n)
    model = DistributedDataParallel(network(seed))
    hook, reduced = register(model, name, s, seed), []
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batches = (TRAIN_IMAGES // n) // s.batch  # as many as the smallest share has
    shuffle, curve, sums, seconds = np.random.default_rng([seed, rank]), [], [], []
    to_zero = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0, total_iters=s.epochs * batches)
    for _ in range(s.epochs):
        order = torch.from_numpy(shuffle.permutation(len(labels)))
        for rows in order[: batches * s.batch].split(s.batch):
            started = time.perf_counter()
            optimiser.zero_grad()
            with counted_all_reduce(reduced):
                torch.nn.functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
            optimiser.step()
            to_zero.step()
            seconds.append(time.perf_counter() - started)
            sums.append(zlib.crc32(b"".join(p.detach().numpy() for p in model.parameters())))
        with torch.no_grad():
            right = (model.module(test_pixels).argmax(1) == test_labels).float().mean()
        sent = hook.bytes_sent if hook else sum(reduced)
        curve.append({"bytes": sent, "accuracy": round(100 * float(right), 3)})
    return {
        "compressor": name,
        "seed": seed,
        "processes": n,
        "parameters": sum(part.numel() for part in model.parameters()),
        "steps": len(seconds),
        **curve[-1],
        "replicas_equal": all_equal(sums),
        "milliseconds_a_step": round(1e3 * float(np.median(seconds)), 3),
        "curve": curve,
    }


def all_equal(sums: list[int]) -> bool:
    """Whether all processes had the same parameters, by checksum, after every single step."""
    everyone: list[list[int]] = [[]] * dist.get_world_size()
    dist.all_gather_object(everyone, sums)
    return all(other == sums for other in everyone)


def run(s: Settings) -> None:
    torch.set_num_threads(1)
    if s.processes:
        place = {"init_method": f"file://{s.meet}", "rank": s.process, "world_size": s.processes}
        dist.init_process_group("gloo", **place)
    else:  # torchrun says in the environment who is who
        dist.init_process_group("gloo")
    results = [train(name, s, seed) for seed in s.seed for name in s.compressor]
    if dist.get_rank() == 0:
        for result in results:
            print(json.dumps({name: value for name, value in result.items() if name != "curve"}))
        if s.output:
            files.atomic_write(s.output, json.dumps(results, indent=1) + "\n")
    dist.destroy_process_group()


def fork(s: Settings) -> int:
    """Run in ``s.processes`` forked processes: what is slow to begin with is done once before."""
    importlib.import_module("torch._dynamo")  # which the first DistributedDataParallel would load
    for name in COMPRESSORS.keys() & set(s.compressor):
        x, rng = np.ones(1 << 15, np.float32), np.random.default_rng(0)
        COMPRESSORS[name](s).encode(x, rng).decode()  # loads or compiles its kernels
    with tempfile.TemporaryDirectory() as folder:
        context, shared = multiprocessing.get_context("fork"), vars(s) | {"meet": f"{folder}/meet"}
        each = [Settings(**shared, process=number) for number in range(s.processes)]
        workers = [context.Process(target=run, args=(own,)) for own in each]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return int(any(worker.exitcode for worker in workers))


if __name__ == "__main__":
    chosen = settings()
    sys.exit(fork(chosen) if chosen.processes else run(chosen))
