"""Train a small language model in several processes, and write what it took, as JSON.

    torchrun --nproc-per-node 4 examples/train_language_model.py --method outer \
        --compressor convolutional --alpha 0.9 --every 20 --steps 1000 --json run.json

`--method ddp` averages gradients at every step; `none`, `fp16` and `powersgd` are then PyTorch's
own hooks, whose all-reduce counts as a ring's, 2 (n - 1) / n of its data for each process.
`--method outer` averages what `--every` local steps changed (`paper_code.distributed.OuterStep`);
`none` is then float32. Bytes are those that this library's messages count, headers included.
Each worker draws its own batches. Needs torch; the text is Python's own (`language_model.py`).
"""

import argparse
import json
import math
import platform
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from language_model import Text, Transformer, read_text
from methods import COMPRESSORS, REFERENCES, add_options, counted_all_reduce, register_reference
from torch.nn.parallel import DistributedDataParallel

import paper_code as pc
from paper_code.companion import files
from paper_code.distributed import OuterStep, hook

Settings = argparse.Namespace
TOP_K = {"lr": 1.0, "decay": 0.95, "carry": False, "stages": 1}
RECIPES = {
    "topk": TOP_K,
    "chunked-top-k": TOP_K,
    "chunked-sd": {"decay": 0.8, "carry": False, "stages": 1},
}
"""Outer steps of sparse messages: all gather the messages of all. Top-k as its users take it."""


def settings(words: Sequence[str] | None = None) -> Settings:
    """Of the command line, or of these words."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--method", choices=("ddp", "outer"), default="outer")
    names = [*REFERENCES, *COMPRESSORS]
    parser.add_argument("--compressor", default="convolutional", choices=names)
    add_options(parser)
    parser.add_argument("--stages", type=int, choices=(1, 2), help="of the exchange")
    parser.add_argument("--every", type=int, default=20, help="local steps between outer ones")
    parser.add_argument("--outer-lr", type=float, help="without it: the compressor's best")
    parser.add_argument("--outer-momentum", type=float, help="likewise")
    parser.add_argument("--memory-decay", type=float, help="likewise")
    parser.add_argument("--carry", choices=("yes", "no"), help="likewise")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8, help="windows a process takes a step")
    parser.add_argument("--lr", type=float, default=3e-3, help="of AdamW, after the warm-up")
    parser.add_argument("--warm-up", type=int, default=50, help="steps")
    parser.add_argument("--evaluate", type=int, default=100, help="steps between evaluations")
    parser.add_argument("--seed", type=int, default=0, help="of the batches and of the model")
    parser.add_argument("--start-from", type=Path, help="parameters that --save wrote")
    parser.add_argument("--save", type=Path, help="a file for the parameters at the end")
    parser.add_argument("--json", type=Path, help="a file for the results")
    s = parser.parse_args(words)
    if s.method == "outer" and s.compressor in ("fp16", "powersgd"):
        parser.error(f"--compressor {s.compressor} is a hook for gradients: --method ddp")
    if s.method == "outer" and (s.evaluate % s.every or s.steps % s.every):
        parser.error("--evaluate and --steps must be multiples of --every: workers differ between")
    return s


class Averaging(NamedTuple):
    """The model as it is trained, what follows a step, and the bytes sent so far.

    Within ``shared()`` the model has the parameters that all workers share.
    """

    model: torch.nn.Module
    after_step: Callable[[], object]
    bytes_sent: Callable[[], float]
    shared: Callable[[], AbstractContextManager[None]] = nullcontext


def gradients_averaged(plain: Transformer, s: Settings, reduced: list[float]) -> Averaging:
    """DistributedDataParallel with the hook of that name."""
    # All workers made the same model, so there is nothing to broadcast. PowerSGD needs one bucket.
    cap = 1000 if s.compressor == "powersgd" else None
    model = DistributedDataParallel(plain, bucket_cap_mb=cap, init_sync=False)
    if s.compressor in REFERENCES:
        register_reference(model, s.compressor, s.rank)
        return Averaging(model, lambda: None, lambda: sum(reduced))
    averaging = hook(COMPRESSORS[s.compressor](s), stages=s.stages, seed=s.seed)
    model.register_comm_hook(plain, averaging)
    return Averaging(model, lambda: None, lambda: averaging.bytes_sent)


def parameters_averaged(plain: Transformer, s: Settings) -> Averaging:
    """Local steps and outer ones."""
    compressor = pc.Identity() if s.compressor == "none" else COMPRESSORS[s.compressor](s)
    carry = {"yes": True, "no": False, None: None}[s.carry]
    given = {"lr": s.outer_lr, "momentum": s.outer_momentum, "decay": s.memory_decay}
    given |= {"carry": carry, "stages": s.stages}
    options = RECIPES.get(s.compressor, {}) | {
        name: value for name, value in given.items() if value is not None
    }
    outer = OuterStep(
        plain.named_parameters(),
        compressor,
        every=s.every,
        seed=s.seed,
        **options,
    )
    return Averaging(plain, outer.step, lambda: outer.bytes_sent, outer.shared_parameters)


def rate(step: int, s: Settings) -> float:
    """Of the step size: up to 1 in the warm-up, then half a cosine down to 0."""
    if step < s.warm_up:
        return (step + 1) / s.warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - s.warm_up) / max(1, s.steps - s.warm_up))


def train(plain: Transformer, text: Text, s: Settings) -> dict[str, object]:
    """Train; an entry for each evaluation. Its seconds leave out those that evaluations took."""
    rank, reduced = dist.get_rank(), list[float]()
    averaging = (
        gradients_averaged(plain, s, reduced)
        if s.method == "ddp"
        else parameters_averaged(plain, s)
    )
    optimiser = torch.optim.AdamW(plain.parameters(), s.lr, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, s))
    held, losses, curve, sums = text.validation_batch(), list[float](), [], list[int]()
    dist.barrier()
    began, paused = time.perf_counter(), 0.0
    for step in range(1, s.steps + 1):
        optimiser.zero_grad()
        with counted_all_reduce(reduced):
            loss = averaging.model(*text.batch(s.batch, s.seed, rank, step))
            loss.backward()
        optimiser.step()
        schedule.step()
        averaging.after_step()
        losses.append(float(loss.detach()))
        if step % s.evaluate == 0 or step == s.steps:
            stopped = time.perf_counter()
            with averaging.shared(), torch.no_grad():
                validation = float(plain(*held))
                sums.append(zlib.crc32(b"".join(part.numpy() for part in plain.parameters())))
            curve.append(
                {
                    "step": step,
                    "seconds": round(stopped - began - paused, 3),
                    "training_loss": round(sum(losses) / len(losses), 5),
                    "validation_loss": round(validation, 5),
                    "bytes": round(averaging.bytes_sent()),
                }
            )
            losses.clear()
            paused += time.perf_counter() - stopped
    if s.save and rank == 0:
        with averaging.shared():
            torch.save(plain.state_dict(), s.save)
    everyone: list[list[int]] = [[]] * dist.get_world_size()
    dist.all_gather_object(everyone, sums)
    return {
        "settings": {name: str(v) if isinstance(v, Path) else v for name, v in vars(s).items()},
        "workers": dist.get_world_size(),
        "parameters": sum(part.numel() for part in plain.parameters()),
        "python": platform.python_version(),
        "text": text.checksum,
        "replicas_equal": all(other == sums for other in everyone),
        **curve[-1],
        "curve": curve,
    }


def main() -> None:
    s = settings()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")  # torchrun says in the environment who is who
    plain = Transformer(s.seed)
    if s.start_from:
        plain.load_state_dict(torch.load(s.start_from, weights_only=True))
    result = train(plain, read_text(), s)
    if dist.get_rank() == 0:
        print(json.dumps({name: value for name, value in result.items() if name != "curve"}))
        if s.json:
            files.atomic_write(s.json, json.dumps(result, indent=1) + "\n")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
