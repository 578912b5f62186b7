"""Why outer steps diverge under strong compression, and what holds: theory, then small trainings.

    python examples/outer_ablation.py --json benchmarks/results/outer_ablation.json

One process plays four workers, one after the other; compressors, messages and their exchange in one
or two stages are the library's own (`CompressedMean`). The model is a transformer of 36,000
parameters, so that a training takes seconds: it shows what diverges, not what losses to expect.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from language_model import Text, Transformer, read_text
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import paper_code as pc
from paper_code.companion import files
from paper_code.distributed import CompressedMean, Exchange
from paper_code.distributed.compressed_mean import Memory
from paper_code.distributed.outer_step import step_size

WORKERS = 4


@dataclass(frozen=True)
class Recipe:
    """How the workers' changes become an outer step; ``stages`` 0 is float32.

    ``feedback``: "carried" (local steps begin at x less the memory, as in OuterStep), "all stages"
    and "first stage" (they begin at x), "EF21" (the memory estimates the change), "none". ``lr``
    None is OuterStep's own.
    """

    alpha: float = 0.9
    stages: int = 2
    feedback: str = "carried"
    lr: float | None = None
    momentum: float = 0.0
    decay: float = 0.5
    compressor: str = "convolutional"
    k: int = 0  # of top-k

    @property
    def step_size(self) -> float:
        """``lr`` or, if None, OuterStep's own."""
        if self.lr is not None:
            return self.lr
        evenly = COMPRESSORS[self.compressor](self).shrinks_evenly
        return step_size(self.alpha, self.decay, self.stages, WORKERS if evenly else None)


def spectral_radius(r: Recipe, curvature: float = 1.0) -> float:
    """Of the outer iteration where local steps change x by curvature x and C(v) is (1 - alpha) v.

    Below 1 it converges. A state is (x, the workers' memory, the mean's memory, velocity); C(v)
    is so on average where it keeps the error <= alpha |v|^2 with the fewest bits.
    """

    def step(state: np.ndarray) -> np.ndarray:
        x, own, result, velocity = state
        feeds = [r.feedback != "none", r.feedback in ("all stages", "carried")]
        mean, memories = curvature * (x - own if r.feedback == "carried" else x), [0.0, 0.0]
        for stage in range(r.stages):
            mean += (own, result)[stage] * feeds[stage]
            memories[stage] = r.decay * r.alpha * mean * feeds[stage]
            mean *= 1 - r.alpha
        velocity = r.momentum * velocity + mean
        return np.array([x - r.step_size * (mean + r.momentum * velocity), *memories, velocity])

    return float(np.abs(np.linalg.eigvals(np.array([step(row) for row in np.eye(4)]).T)).max())


COMPRESSORS: dict[str, Callable[[Recipe], pc.Compressor]] = {
    "convolutional": lambda r: pc.ConvolutionalCompression(r.alpha),
    "identity": lambda r: pc.Identity(),
    "trellis": lambda r: pc.TrellisCompression(r.alpha),
    "top-k of chunks": lambda r: pc.ChunkedTopK(r.k),
}


@dataclass
class InOneProcess(Exchange):
    """Worker ``number``'s end of an exchange between threads."""

    number: int = 0
    board: list = field(default_factory=list)
    barrier: threading.Barrier | None = None

    @property
    def rank(self) -> int:
        return self.number

    @property
    def size(self) -> int:
        return len(self.board)

    def trade(
        self, pack: Callable[[], Sequence[bytes]], label: int = 0, channel: int = 0
    ) -> list[bytes]:
        self.board[self.number] = pack()
        self.barrier.wait()
        received = [parcels[self.number] for parcels in self.board]
        self.sent += sum(len(p) for i, p in enumerate(self.board[self.number]) if i != self.number)
        self.barrier.wait()
        return received

    def agree(self, work: Callable[[], object], label: int = 0) -> object:
        return work()


def exchanges() -> list[InOneProcess]:
    board, barrier = [None] * WORKERS, threading.Barrier(WORKERS)
    return [InOneProcess(number=i, board=board, barrier=barrier) for i in range(WORKERS)]


class OuterSteps:
    """The shared parameters x, and all that a recipe remembers for each worker."""

    def __init__(self, recipe: Recipe, x: np.ndarray) -> None:
        self.recipe, self.x, self.velocity, self.rounds = recipe, x, np.zeros_like(x), 0
        self.ends = exchanges()
        compressor = COMPRESSORS[recipe.compressor](recipe)
        self.means = [CompressedMean(compressor, end, max(1, recipe.stages)) for end in self.ends]
        self.memories = [mean.empty_memory(x) for mean in self.means]
        self.estimates = [np.zeros_like(x) for _ in self.ends]
        self.pool = ThreadPoolExecutor(WORKERS)

    def starts(self) -> list[np.ndarray]:
        """Where each worker's local steps begin."""
        if self.recipe.feedback == "carried":
            return [self.x - memory.own for memory in self.memories]
        return [self.x] * WORKERS

    def step(self, ends: list[np.ndarray]) -> None:
        """An outer step from where the local steps ended."""
        self.rounds += 1
        r, changes = self.recipe, [self.x - end for end in ends]
        mean = self._mean(changes) if r.stages else np.mean(changes, axis=0)
        self.velocity = (r.momentum * self.velocity + mean).astype(np.float32)
        self.x = (self.x - r.step_size * (mean + r.momentum * self.velocity)).astype(np.float32)

    def _mean(self, changes: list[np.ndarray]) -> np.ndarray:
        kind, empty = self.recipe.feedback, [m.empty_memory(self.x) for m in self.means]
        if kind == "EF21":  # C(change - estimate) moves the estimate
            changes = [c - h for c, h in zip(changes, self.estimates, strict=True)]
        given = empty if kind in ("EF21", "none") else self.memories
        if kind == "carried":  # the local steps began at x - memory: it is in the change
            given = [Memory(0 * m.own, m.result) for m in self.memories]
        draws = [np.random.default_rng([self.rounds, i]) for i in range(WORKERS)]
        jobs = zip(self.means, changes, given, draws, strict=True)
        done = list(self.pool.map(lambda job: job[0](*job[1:]), jobs))
        new = [memory for _, memory in done]
        mean = done[0][0]
        if kind == "EF21":
            moved = [c - memory.own for c, memory in zip(changes, new, strict=True)]
            mean = mean + np.mean(self.estimates, axis=0)
            self.estimates = [h + m for h, m in zip(self.estimates, moved, strict=True)]
        if kind == "first stage":
            new = [Memory(memory.own, 0 * memory.result) for memory in new]
        decay = np.float32(self.recipe.decay)
        self.memories = [Memory(decay * own, decay * result) for own, result in new]
        return mean


def train(recipe: Recipe, text: Text, seed: int, s: argparse.Namespace) -> dict[str, object]:
    """Losses of x on the validation text, and bytes that a worker sends."""
    model = Transformer(seed, width=48, heads=2, layers=1)
    outer = OuterSteps(recipe, parameters_to_vector(model.parameters()).detach().numpy())
    optimisers = [
        torch.optim.AdamW(model.parameters(), s.lr, betas=(0.9, 0.95)) for _ in range(WORKERS)
    ]
    curve = []
    for first in range(0, s.steps, s.every):
        ends = []
        for rank, (optimiser, start) in enumerate(zip(optimisers, outer.starts(), strict=True)):
            vector_to_parameters(torch.from_numpy(start.copy()), model.parameters())
            for step in range(first, first + s.every):
                for group in optimiser.param_groups:
                    group["lr"] = s.lr * min(1, (step + 1) / 20, 2 * (1 - step / s.steps))
                optimiser.zero_grad()
                model(*text.batch(s.batch, seed, rank, step)).backward()
                optimiser.step()
            ends.append(parameters_to_vector(model.parameters()).detach().numpy())
        if not all(np.isfinite(end).all() for end in ends):
            break
        outer.step(ends)
        if (first // s.every) % 5 == 4:
            vector_to_parameters(torch.from_numpy(outer.x.copy()), model.parameters())
            with torch.no_grad():
                curve.append(round(float(model(*text.validation_batch())), 4))
    outer.pool.shutdown()
    return {
        "seed": seed,
        "loss": curve[-1] if curve else None,
        "bytes": outer.ends[0].sent or 6 * outer.x.size * outer.rounds,  # float32: a ring's
        "parameters": outer.x.size,
        "curve": curve,
    }


def train_at_every_step(text: Text, seed: int, s: argparse.Namespace) -> dict[str, object]:
    """As ``train``, with float32 gradients averaged at every step: DistributedDataParallel."""
    model = Transformer(seed, width=48, heads=2, layers=1)
    optimiser = torch.optim.AdamW(model.parameters(), s.lr, betas=(0.9, 0.95))
    for step in range(s.steps):
        for group in optimiser.param_groups:
            group["lr"] = s.lr * min(1, (step + 1) / 20, 2 * (1 - step / s.steps))
        batches = [text.batch(s.batch, seed, rank, step) for rank in range(WORKERS)]
        optimiser.zero_grad()
        model(*(torch.cat(parts) for parts in zip(*batches, strict=True))).backward()
        optimiser.step()
    with torch.no_grad():
        loss = round(float(model(*text.validation_batch())), 4)
    d = sum(part.numel() for part in model.parameters())
    return {"seed": seed, "loss": loss, "bytes": 6 * d * s.steps, "parameters": d}


MOMENTUM = {"lr": 0.7, "momentum": 0.9, "decay": 1.0}  # as outer steps in float32 are often taken
PLAIN = {"lr": 1.0, "decay": 1.0}
RECIPES = {
    "float32": Recipe(0.0, 0, "none", compressor="identity", **PLAIN),
    "float32, momentum .9": Recipe(0.0, 0, "none", compressor="identity", **MOMENTUM),
    "memory in both stages, momentum .9": Recipe(feedback="all stages", **MOMENTUM),
    "carried, decay .5, lr 8.9": Recipe(),
    "carried, decay .9, lr 1.9": Recipe(decay=0.9, lr=1.9),
    "memory in both stages": Recipe(feedback="all stages", **PLAIN),
    "carried": Recipe(**PLAIN),
    "memory decays in both stages": Recipe(feedback="all stages", lr=1.0, decay=0.9),
    "carried, decay .9": Recipe(lr=1.0, decay=0.9),
    "one stage": Recipe(stages=1, feedback="all stages", **PLAIN),
    "one stage, momentum .9": Recipe(stages=1, feedback="all stages", **MOMENTUM),
    "memory in the first stage": Recipe(feedback="first stage", **PLAIN),
    "EF21, one stage": Recipe(stages=1, feedback="EF21", **PLAIN),
    "no memory, momentum .9": Recipe(feedback="none", **MOMENTUM),
}
"""At alpha = .9; "carried, decay .5, lr 8.9" is OuterStep's own."""
SPARSE = {"feedback": "all stages", "lr": 1.0, "decay": 0.95, "compressor": "top-k of chunks"}
"""As it is in use."""
BEST_SPARSE = {k: SPARSE | {"lr": lr, "decay": 0.8} for k, lr in ((14, 4.0), (7, 5.6))}
"""Of TRIED."""
EQUAL_BYTES = {
    "float32": RECIPES["float32"],
    "OuterStep, alpha .9": Recipe(),
    "OuterStep, alpha .962": Recipe(0.962),
    "sparse, k = 14": Recipe(stages=1, k=14, **SPARSE),
    "sparse, k = 7": Recipe(stages=1, k=7, **SPARSE),
    "OuterStep, alpha .97": Recipe(0.97),
    "sparse at its best, k = 14": Recipe(stages=1, k=14, **BEST_SPARSE[14]),
    "sparse at its best, k = 7": Recipe(stages=1, k=7, **BEST_SPARSE[7]),
    "sparse, k = 29, two stages": Recipe(k=29, **SPARSE),
}
"""k such that the bytes are those of alpha = .9 and .962, or a few more."""
TRIED = {
    f"sparse, k = {k}, decay {decay:g}, lr {lr:g}": Recipe(
        stages=1, k=k, **{**SPARSE, "decay": decay, "lr": lr}
    )
    for k in (14, 7)
    for decay in (0.8, 0.9, 0.95)
    for lr in (1.0, 2.0, 4.0, 5.6)
} | {
    f"{code}, alpha {alpha:g}, decay {decay:g}, lr times {times:g}": Recipe(
        alpha,
        decay=decay,
        lr=times * Recipe(alpha, decay=decay, compressor=code).step_size,
        compressor=code,
    )
    for code, alphas, allowed in (
        ("convolutional", (0.9, 0.962), (0.5, 1.0, 2.0)),
        ("trellis", (0.785, 0.9), (1.0, 2.0)),
    )
    for alpha in alphas
    for decay in (0.5, 0.7, 0.9)
    for times in allowed
}
"""Recipes tried for the sparse format and for ours; ``times`` OuterStep's own step size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=10, help="local steps between outer ones")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr", type=float, default=5e-3, help="of AdamW")
    parts = ["ddp", "causes", "bytes", "tried"]
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2], help="of ddp and bytes")
    parser.add_argument("--json", type=Path, help="a file for the results")
    s = parser.parse_args()
    torch.set_num_threads(1)
    text, results = read_text(), []
    if "ddp" in s.part:
        results += [
            {"name": "float32 DDP", **train_at_every_step(text, seed, s)} for seed in s.seed
        ]
    runs = [(name, r, 0) for name, r in RECIPES.items() if "causes" in s.part]
    runs += [(name, r, 0) for name, r in TRIED.items() if "tried" in s.part]
    runs += [
        (name, r, seed) for seed in s.seed for name, r in EQUAL_BYTES.items() if "bytes" in s.part
    ]
    for name, recipe, seed in runs:
        radius = None if recipe.feedback == "EF21" or recipe.k else spectral_radius(recipe)
        result = train(recipe, text, seed, s)
        results.append({"name": name, **asdict(recipe), "spectral_radius": radius, **result})
        shown = "" if radius is None else f"{radius:.3f}"
        print(
            f"{name:56s} {shown:>6s} {result['loss']:8.4f} {result['bytes']:8d} bytes", flush=True
        )
        if s.json:
            lines = ",\n".join(" " + json.dumps(result) for result in results)
            files.atomic_write(s.json, f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
