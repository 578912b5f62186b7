"""Fewer bytes for PyTorch's FSDP2: its reduce-scatter of gradients in compressed messages.

::

    for layer in model.layers:
        fully_shard(layer)
    fully_shard(model)
    for part in (*model.layers, model):
        part.set_custom_reduce_scatter(CompressedReduceScatter(TrellisCompression(alpha=0.5)))

The gradients' shards stay where they are, so there is no second message. The all-gather of the
parameters is PyTorch's own, uncompressed: see docs/distributed.md for what that leaves to save.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..compressors.contract import Compressor
from .collectives import Exchange, dist, torch
from .compressed_mean import CompressedMean
from .vectors import Array

__all__ = ["CompressedReduceScatter"]


class CompressedReduceScatter:
    """The mean (or sum) of all workers' gradients, of which every worker gets its shard.

    One for each module that ``fully_shard`` was called for. Every worker sends one message of each
    other worker's shard, adds its own part uncompressed, and sums in float32, or float64 if the
    gradients are. ``error_feedback`` None means: unless the compressor is unbiased; ``seed`` begins
    the random numbers of compressors that draw. ``bytes_sent`` counts what this worker has sent.
    It has the methods that PyTorch calls, and needs none of its private modules.
    """

    def __init__(
        self,
        compressor: Compressor,
        error_feedback: bool | None = None,
        *,
        threads: int = 1,
        seed: int = 0,
    ) -> None:
        self.compressor, self.error_feedback = compressor, error_feedback
        self.threads, self.seed, self.step = threads, seed, 0
        self._mean: CompressedMean | None = None
        self._memory: Array | None = None

    @property
    def bytes_sent(self) -> int:
        """Bytes that this worker has sent to others so far, headers included."""
        return self._mean.exchange.sent if self._mean else 0

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor:
        """Memory for what goes in and what comes out."""
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self,
        output_tensor: torch.Tensor,
        input_tensor: torch.Tensor,
        group: dist.ProcessGroup,
        op: dist.ReduceOp.RedOpType,
        async_op: bool = False,
    ) -> None:
        """Fill ``output_tensor`` with this worker's shard of the mean or sum; done on return.

        Raises WorkerError on every worker where one fails; the memory is then as it was before.
        """
        if op not in (dist.ReduceOp.SUM, dist.ReduceOp.AVG):
            raise ValueError(f"op is {op}; allowed are SUM and AVG")
        if self._mean is None:
            self._mean = CompressedMean(self.compressor, Exchange(group), 2, self.threads)
        wide = input_tensor.dtype == torch.float64
        x = input_tensor.detach().to("cpu", torch.float64 if wide else torch.float32).numpy()
        rank = self._mean.exchange.rank
        draws = np.random.default_rng([self.seed, self.step, rank])
        rng = draws if self.compressor.needs_rng else None
        chunk, memory = self._mean.of_own_chunk(x, self._memory_for(x), rng, self.step)
        self._memory, self.step = memory, self.step + 1
        if op == dist.ReduceOp.SUM:
            chunk = chunk * self._mean.exchange.size
        output_tensor.copy_(torch.from_numpy(chunk))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What this worker needs to go on as if it had not stopped: save one for each worker."""
        state = {"step": torch.tensor(self.step)}
        if self._memory is not None:
            state["memory"] = torch.from_numpy(self._memory.copy())
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a ``state_dict``. Raises ValueError for what is none."""
        if "step" not in state:
            raise ValueError(
                "state has no step; allowed is what a CompressedReduceScatter's state_dict() "
                "returned"
            )
        self.step = int(state["step"])
        self._memory = state["memory"].numpy().copy() if "memory" in state else None

    def _memory_for(self, x: Array) -> Array | None:
        """Of error feedback, for gradients such as x. Raises ValueError for one of another size."""
        feedback = self.error_feedback
        if feedback is None:
            feedback = not self.compressor.guarantee(len(x)).is_unbiased
        if feedback and self._memory is not None and self._memory.shape != x.shape:
            raise ValueError(
                f"the memory has {len(self._memory)} coordinates, but the gradients {len(x)}: each "
                "module needs a CompressedReduceScatter, and each state its own module"
            )
        if not feedback:
            return None
        return np.zeros_like(x) if self._memory is None else self._memory
