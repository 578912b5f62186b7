"""Fewer bytes for PyTorch's DistributedDataParallel, in one line.

    model.register_comm_hook(model.module, hook(TrellisCompression(alpha=0.5)))

Every worker then ends each step with the same gradients to the last bit.
"""

# No postponed annotations here: DistributedDataParallel compares those of the hook with its own.

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..compressors.contract import Compressor
from .collectives import Exchange, WorkerError, dist, torch
from .compressed_mean import CompressedMean, Memory
from .vectors import Array, joined, split

__all__ = ["Hook", "WorkerError", "hook"]

Shapes = dict[str, tuple[int, ...]]

GROUP = 1 << 18
"""Coordinates of a group: fewer hide more of the waiting, but each has messages of its own."""


class Bucket(NamedTuple):
    """A bucket's memory, the same in the main memory, and the promise to fill it."""

    buffer: torch.Tensor
    at_hand: torch.Tensor
    future: torch.futures.Future


class Part(NamedTuple):
    """A gradient in a bucket, which is ``flat`` as real numbers."""

    flat: torch.Tensor
    first: int
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.first + math.prod(self.shape)


def hook(
    compressor: Compressor,
    error_feedback: bool | None = None,
    *,
    stages: int | None = None,
    threads: int = 1,
    seed: int = 0,
    group: dist.ProcessGroup | None = None,
    group_size: int = GROUP,
    in_flight: int = 2,
) -> "Hook":
    """A communication hook that averages gradients by compressed messages.

    ``error_feedback`` None means: unless the compressor is unbiased. ``stages`` and ``threads`` as
    in ``CompressedMean``; ``seed`` begins the random numbers of compressors that draw, ``group`` is
    the model's process group where it is not the default. ``group_size`` is how many coordinates
    are averaged at a time, at least: the rest of the backward pass goes on meanwhile. So many such
    groups are ``in_flight``, each in a thread: one is encoded while another waits for the network;
    all workers need the same number. Register it with the module inside:
    ``ddp.register_comm_hook(ddp.module, hook(compressor))``.
    """
    mean = CompressedMean(compressor, Exchange(group), stages, threads)
    return Hook(mean, error_feedback, seed, group_size, in_flight)


class Hook:
    """Averages gradients in groups of parameters, each as soon as all of its gradients are ready.

    The groups are dealt out from the last parameter of the module to the first, whatever buckets
    DistributedDataParallel makes, which change after the first step: so messages, and a run that is
    resumed, do not depend on those. Threads average the groups while the backward pass goes on,
    each every ``in_flight``-th in the same order on all workers; only the first step, which shows
    what there is, waits for its end. Memories of error feedback change when all groups have gone
    well on all workers.
    Gradients of float16 and bfloat16 are averaged in float32, complex ones as pairs of reals.
    Raises WorkerError on every worker where one fails; see ``CompressedMean``.
    """

    def __init__(
        self,
        mean: CompressedMean,
        error_feedback: bool | None = None,
        seed: int = 0,
        group_size: int = GROUP,
        in_flight: int = 2,
    ) -> None:
        for name, value in {"group_size": group_size, "in_flight": in_flight}.items():
            if value < 1:
                raise ValueError(f"{name} is {value!r}; allowed are whole numbers from 1 on")
        self.mean, self.error_feedback = mean, error_feedback
        self.seed, self.group_size, self.step = seed, group_size, 0
        self._module: torch.nn.Module | None = None
        self._names: dict[torch.Tensor, str] = {}
        self._groups: list[Shapes] = []
        self._memories: list[Memory | None] = []
        self._spares: list[Memory | None] = []  # for the next; to allocate them costs more
        self._vectors: list[torch.Tensor | None] = []
        self._loaded: dict[str, torch.Tensor] = {}
        self._threads = [ThreadPoolExecutor(1, f"averages-{i}") for i in range(in_flight)]
        self._forget_the_step()
        self.__name__ = self.__qualname__ = f"paper_code.{type(mean.compressor).__name__}"

    @property
    def bytes_sent(self) -> int:
        """Bytes that this worker has sent to others so far, headers included."""
        return self.mean.exchange.sent

    def __call__(
        self, state: object, bucket: dist.GradBucket
    ) -> torch.futures.Future[torch.Tensor]:
        """What DistributedDataParallel calls; ``state`` is the module that was registered."""
        if bucket.index() == 0:
            wait(self._jobs)  # of a step that another error broke off
            self._forget_the_step()
            self._learn_names(state)
        buffer = bucket.buffer()
        devices: list[int | str | torch.device] = [buffer.device]
        at_hand = buffer.cpu()  # the buffer itself where that is there
        self._gradients |= self._parts(at_hand, bucket.parameters())
        future: torch.futures.Future[torch.Tensor] = torch.futures.Future(
            devices=devices if buffer.is_cuda else None
        )
        self._buckets.append(Bucket(buffer, at_hand, future))
        self._start_what_is_complete()
        if bucket.is_last():
            self._finish()
        return future

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What this worker needs to go on as if it had not stopped: save one for each worker.

        The step, the worker's number and theirs, and the memories of error feedback by parameter.
        """
        if self._loaded:
            return dict(self._loaded)
        exchange = self.mean.exchange
        numbers = {"step": self.step, "rank": exchange.rank, "workers": exchange.size}
        state = {name: torch.tensor(number) for name, number in numbers.items()}
        groups = zip(self._groups, self._memories, strict=True)
        kept = [(shapes, memory) for shapes, memory in groups if memory]
        for shapes, memory in kept:
            for name, part in split(memory.own, shapes).items():
                state[f"memory.{name}"] = torch.from_numpy(part.copy())
        if kept:
            state["result_memory"] = torch.cat(
                [torch.from_numpy(memory.result) for _, memory in kept]
            )
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a ``state_dict``. Raises ValueError for another worker's, and for none."""
        if missing := {"step", "rank", "workers"} - state.keys():
            raise ValueError(
                f"state has no {', '.join(sorted(missing))}; allowed is what a hook's state_dict() "
                "returned"
            )
        ours = (self.mean.exchange.rank, self.mean.exchange.size)
        theirs = (int(state["rank"]), int(state["workers"]))
        if theirs != ours:
            raise ValueError(
                "state is of worker {} of {}, but this is worker {} of {}".format(*theirs, *ours)
            )
        self._loaded = {name: part.clone() for name, part in state.items()}
        self.step, self._groups, self._memories = int(state["step"]), [], []

    def _forget_the_step(self) -> None:
        self._buckets: list[Bucket] = []
        self._gradients: dict[str, Part] = {}
        self._jobs: list[Future[Memory | None]] = []

    def _learn_names(self, module: object) -> None:
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"the hook was registered with {module!r}; it needs the module: "
                "ddp.register_comm_hook(ddp.module, hook)"
            )
        if self._module is not None and self._module is not module:
            raise ValueError("the hook is used for two modules; make one hook for each")
        if self._module is None:
            self._module = module
            named = module.named_parameters()
            self._names = {part: name.removeprefix("module.") for name, part in named}

    def _parts(self, buffer: torch.Tensor, parameters: list[torch.Tensor]) -> dict[str, Part]:
        """The gradients in a bucket by name."""
        flat, parts, first = buffer.reshape(-1), dict[str, Part](), 0
        for parameter in parameters:
            if parameter not in self._names:
                raise ValueError(
                    f"a parameter of shape {tuple(parameter.shape)} is none of the module that the "
                    "hook was registered with: ddp.register_comm_hook(ddp.module, hook)"
                )
            pair = (2,) if parameter.is_complex() else ()
            part = Part(flat, first, (*parameter.shape, *pair))
            parts[self._names[parameter]], first = part, part.end
        if flat.is_complex() or flat.numel() != first:
            raise ValueError(
                f"a bucket holds {flat.numel()} numbers of {flat.dtype}, but its gradients have "
                f"{first}: they cannot be averaged"
            )
        return parts

    def _start_what_is_complete(self) -> None:
        """Let the thread average the groups, in their order, whose gradients are all there."""
        while len(self._jobs) < len(self._groups):
            number = len(self._jobs)
            if not self._groups[number].keys() <= self._gradients.keys():
                return
            channel = number % len(self._threads)
            self._jobs.append(self._threads[channel].submit(self._average, number, channel))

    def _finish(self) -> None:
        """Wait for the means of all groups, and hand all buckets back."""
        if not self._groups:
            self.mean.exchange.agree(self._begin, label=-1)
            self._start_what_is_complete()
        self._check_parameters()
        for job in self._jobs:
            job.exception()  # waits for its end, at less cost than wait()
        memories = self.mean.exchange.agree(self._next_memories, label=-2)
        self._spares, self._memories = self._memories, memories
        self.step += 1
        for bucket in self._buckets:
            if bucket.at_hand is not bucket.buffer:
                bucket.buffer.copy_(bucket.at_hand)
            bucket.future.set_result(bucket.buffer)
        self._forget_the_step()

    def _next_memories(self) -> list[Memory | None]:
        """Those of all groups. Raises the first error, but one that all workers know of before."""
        errors = [error for job in self._jobs if (error := job.exception())]
        for error in sorted(errors, key=lambda error: not isinstance(error, WorkerError)):
            raise error
        return [job.result() for job in self._jobs]

    def _average(self, number: int, channel: int) -> Memory | None:
        """Put the means into the gradients of a group; the next memory of error feedback."""
        before = self._jobs[channel : number : len(self._threads)]  # in this thread
        if any(isinstance(job.exception(), WorkerError) for job in before):
            return None  # all workers know of it, and leave out what follows in this channel
        shapes = self._groups[number]
        parts = [self._gradients[name] for name in shapes]
        x, in_place = self._vector(number, parts)
        draws = [self.seed, self.step, self.mean.exchange.rank, number]
        rng = np.random.default_rng(draws) if self.mean.compressor.needs_rng else None
        label = self.step * len(self._groups) + number
        memory, spare = self._memories[number], self._spares[number]
        _, memory = self.mean.unconfirmed(
            x, memory, rng, _namer(shapes), label, channel, spare, out=x
        )
        if not in_place:
            for part, own in zip(parts, split(x, shapes).values(), strict=True):
                part.flat[part.first : part.end] = torch.from_numpy(own).reshape(-1)
        return memory

    def _vector(self, number: int, parts: list[Part]) -> tuple[Array, bool]:
        """The gradients of a group as one vector: where they are, if in one piece, or a copy."""
        kind = _kind(parts)
        if _in_one_piece(parts) and parts[0].flat.dtype == kind:
            return parts[0].flat[parts[0].first : parts[-1].end].numpy(), True
        pieces = [part.flat[part.first : part.end].to(kind) for part in parts]
        vector = torch.cat(pieces, out=self._vectors[number])
        self._vectors[number] = vector  # filled anew in every step: to allocate it costs more
        return vector.numpy(), False

    def _begin(self) -> None:
        """Deal the parameters out to groups, and set up their memories: empty, or as loaded."""
        found = [name for name in reversed(self._names.values()) if name in self._gradients]
        groups: list[Shapes] = [{}]
        for name in found:
            if _size(groups[-1]) >= self.group_size:
                groups.append({})
            groups[-1][name] = self._gradients[name].shape
        if len(groups) > 1 and _size(groups[-1]) < self.group_size:
            groups[-2:] = [groups[-2] | groups[-1]]  # no message much shorter than the others
        memories, spares = ([self._first_memory(shapes) for shapes in groups] for _ in range(2))
        if any("memory" in name for name in self._loaded):
            self._fill(memories, groups)
        self._groups, self._memories, self._loaded = groups, memories, {}
        self._spares, self._vectors = spares, [None] * len(groups)

    def _first_memory(self, shapes: Shapes) -> Memory | None:
        kind = _kind([self._gradients[name] for name in shapes])
        x, feedback = torch.empty(_size(shapes), dtype=kind).numpy(), self.error_feedback
        if feedback is None:
            feedback = not self.mean.compressor.guarantee(len(x)).is_unbiased
        return self.mean.empty_memory(x) if feedback else None

    def _fill(self, memories: list[Memory | None], groups: list[Shapes]) -> None:
        """Put what was loaded into the empty memories."""
        kept = [(shapes, memory) for shapes, memory in zip(groups, memories, strict=True) if memory]
        shapes = {f"memory.{n}": shape for group, _ in kept for n, shape in group.items()}
        if kept:
            shapes["result_memory"] = (sum(len(memory.result) for _, memory in kept),)
        loaded = {n: tuple(part.shape) for n, part in self._loaded.items() if "memory" in n}
        if loaded != shapes:
            odd = sorted(n for n in loaded.keys() | shapes if loaded.get(n) != shapes.get(n))
            raise ValueError(
                f"state does not fit the model and the hook: {', '.join(odd)} differ in shape, or "
                "are in one of them only. Make both as they were when it was saved, or do not load "
                "it: error feedback then begins anew"
            )
        last = 0
        for group, memory in kept:
            memory.own[:] = joined(
                (self._loaded[f"memory.{n}"].numpy() for n in group), memory.own.dtype
            )
            first, last = last, last + len(memory.result)
            memory.result[:] = self._loaded["result_memory"][first:last].numpy()

    def _check_parameters(self) -> None:
        expected = {name: shape for group in self._groups for name, shape in group.items()}
        if odd := sorted(expected.keys() ^ self._gradients.keys()):
            raise ValueError(
                f"the averaged parameters have changed since the first step: {', '.join(odd)}. "
                "After freezing or unfreezing, wrap the module in DistributedDataParallel again, "
                "with a new hook"
            )


def _kind(parts: list[Part]) -> torch.dtype:
    """Of the vector of some gradients: float32, or float64 if one is."""
    wide = any(part.flat.dtype == torch.float64 for part in parts)
    return torch.float64 if wide else torch.float32


def _in_one_piece(parts: list[Part]) -> bool:
    """Whether these gradients follow each other in one bucket."""
    return all(a.flat is b.flat and a.end == b.first for a, b in pairwise(parts))


def _size(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _namer(shapes: Shapes) -> Callable[[int], str]:
    """What calls a coordinate of a group by its parameter."""

    def name_of(index: int) -> str:
        for name, shape in shapes.items():
            if index < math.prod(shape):
                return f"the gradient of {name!r}"
            index -= math.prod(shape)
        raise IndexError(index)

    return name_of
