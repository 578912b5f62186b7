"""Fewer bytes for PyTorch's DistributedDataParallel, in one line.

    model.register_comm_hook(model.module, ddp.hook(TrellisCompression(alpha=0.5)))

Every worker then ends each step with the same gradients to the last bit.
"""

# No postponed annotations here: DistributedDataParallel compares those of the hook with its own.

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from ..compressors.contract import Compressor
from .collectives import Exchange, WorkerError
from .compressed_mean import CompressedMean

__all__ = ["Hook", "WorkerError", "hook"]

Vector = NDArray[np.floating] | torch.Tensor


class Bucket(NamedTuple):
    """A bucket's memory, the gradients in it by name, and the promise to fill it."""

    buffer: torch.Tensor
    parts: dict[str, torch.Tensor]
    future: torch.futures.Future


def hook(
    compressor: Compressor,
    error_feedback: bool | None = None,
    *,
    stages: int | None = None,
    seed: int = 0,
    group: dist.ProcessGroup | None = None,
) -> "Hook":
    """A communication hook that averages gradients by compressed messages.

    ``error_feedback`` None means: unless the compressor is unbiased. ``stages`` as in
    ``CompressedMean``; ``seed`` begins the random numbers of compressors that draw, ``group`` is
    the model's process group where it is not the default. Register it with the module inside:
    ``ddp.register_comm_hook(ddp.module, hook(compressor))``.
    """
    return Hook(CompressedMean(compressor, Exchange(group), stages), error_feedback, seed)


class Hook:
    """Averages the gradients of all buckets at once, when the last of them is ready.

    So messages are few and long, and nothing depends on how DistributedDataParallel deals the
    parameters out to buckets, which changes after the first step; the price is that communication
    does not overlap the backward pass. Gradients of float16 and bfloat16 are averaged in float32.
    Gradients on a GPU stay there where the compressor packs there (SparseDithering); else they are
    packed in the main memory.
    Raises WorkerError on every worker where one fails; see ``CompressedMean``.
    """

    def __init__(self, mean: CompressedMean, error_feedback: bool | None, seed: int) -> None:
        self.mean, self.error_feedback, self.seed = mean, error_feedback, seed
        self.step = 0
        self._buckets: list[Bucket] = []
        self._names: dict[torch.Tensor, str] = {}
        self._shapes: dict[str, torch.Size] = {}
        self._loaded: dict[str, torch.Tensor] = {}
        self._begun = False
        self.__name__ = self.__qualname__ = f"paper_code.{type(mean.compressor).__name__}"

    @property
    def bytes_sent(self) -> int:
        """Bytes that this worker has given to collectives for others so far."""
        return self.mean.exchange.sent

    def __call__(
        self, state: object, bucket: dist.GradBucket
    ) -> torch.futures.Future[torch.Tensor]:
        """What DistributedDataParallel calls; ``state`` is the module that was registered."""
        if bucket.index() == 0:
            self._buckets = []
            self._learn_names(state)
        names = [self._names[parameter] for parameter in bucket.parameters()]
        buffer, gradients = bucket.buffer(), bucket.gradients()
        devices = [buffer.device] if buffer.device.type == "cuda" else None
        future = torch.futures.Future(devices=devices)
        self._buckets.append(Bucket(buffer, dict(zip(names, gradients, strict=True)), future))
        if bucket.is_last():
            self._average()
        return future

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What this worker needs to go on as if it had not stopped: save one for each worker.

        The step, the worker's number and theirs, and the memories of error feedback by parameter.
        """
        if self._loaded:
            return dict(self._loaded)
        exchange = self.mean.exchange
        numbers = {"step": self.step, "rank": exchange.rank, "workers": exchange.size}
        memories = {name: part.clone() for name, part in self._memories().items()}
        return {name: torch.tensor(number) for name, number in numbers.items()} | memories

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a ``state_dict``. Raises ValueError for that of another worker."""
        ours = (self.mean.exchange.rank, self.mean.exchange.size)
        theirs = (int(state["rank"]), int(state["workers"]))
        if theirs != ours:
            raise ValueError(
                "state is of worker {} of {}, but this is worker {} of {}".format(*theirs, *ours)
            )
        self._loaded = {name: part.clone() for name, part in state.items()}
        self.step, self._begun = int(state["step"]), False

    def _learn_names(self, module: object) -> None:
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"the hook was registered with {module!r}; it needs the module: "
                "ddp.register_comm_hook(ddp.module, hook)"
            )
        if not self._names:
            named = module.named_parameters()
            self._names = {part: name.removeprefix("module.") for name, part in named}

    def _average(self) -> None:
        """Put the means into all buckets. The order is that of the module's parameters."""
        found = {name: part for bucket in self._buckets for name, part in bucket.parts.items()}
        gradients = {name: found[name] for name in self._names.values() if name in found}
        self._shapes = {name: part.shape for name, part in gradients.items()}
        wide = any(part.dtype == torch.float64 for part in gradients.values())
        dtype = torch.float64 if wide else torch.float32
        flat = torch.cat([part.reshape(-1).to(dtype) for part in gradients.values()])
        mean = torch.as_tensor(self._mean_of(flat.cpu().numpy())).to(flat.device)
        for name, part in self._split(mean).items():
            gradients[name].copy_(part)
        for bucket in self._buckets:
            bucket.future.set_result(bucket.buffer)
        self._buckets = []

    def _mean_of(self, x: Vector) -> Vector:
        if not self._begun:
            self.mean.exchange.agree(lambda: self._begin(x))
        draws = [self.seed, self.step, self.mean.exchange.rank]
        rng = np.random.default_rng(draws) if self.mean.compressor.needs_rng else None
        mean = self.mean(x, rng, self._name_of)
        self.step += 1
        return mean

    def _begin(self, x: Vector) -> None:
        """Set up the memories of error feedback: empty, or as they were loaded."""
        mean, feedback = self.mean, self.error_feedback
        if feedback is None:
            feedback = not mean.compressor.guarantee(len(x)).is_unbiased
        mean.memory = mean.result_memory = None
        if feedback:
            mean.start_feedback(x)
        memories = self._memories()
        loaded = {name: part for name, part in self._loaded.items() if "memory" in name}
        if loaded and _shapes(loaded) != _shapes(memories):
            raise ValueError(
                "state holds memories of other parameters, or error feedback was switched since"
            )
        for name, part in loaded.items():
            memories[name].copy_(part)
        self._loaded, self._begun = {}, True

    def _memories(self) -> dict[str, torch.Tensor]:
        """Views of what error feedback keeps, by parameter."""
        if self.mean.memory is None:
            return {}
        parts = self._split(torch.as_tensor(self.mean.memory))
        named = {f"memory.{name}": part for name, part in parts.items()}
        return named | {"result_memory": torch.as_tensor(self.mean.result_memory)}

    def _split(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """A vector of all parameters, cut into theirs."""
        parts = flat.split([shape.numel() for shape in self._shapes.values()])
        pairs = zip(self._shapes.items(), parts, strict=True)
        return {name: part.view(shape) for (name, shape), part in pairs}

    def _name_of(self, index: int) -> str:
        for name, shape in self._shapes.items():
            if index < shape.numel():
                return f"the gradient of {name!r}"
            index -= shape.numel()
        raise IndexError(index)


def _shapes(parts: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: part.shape for name, part in parts.items()}
