"""Bytes that workers send each other: counted at the collective, and failures shared by all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

Result = TypeVar("Result")


class WorkerError(RuntimeError):
    """Something failed on a worker; every worker that still lives raises it."""


@dataclass
class Exchange:
    """One worker's end of a process group, ``group`` or all processes.

    ``sent`` counts the bytes that this worker gave to collectives for others, lengths included.
    Tensors travel from the main memory under gloo, and from the GPU under NCCL.
    """

    group: dist.ProcessGroup | None = None
    sent: int = 0

    @property
    def rank(self) -> int:
        """This worker's number."""
        return dist.get_rank(self.group)

    @property
    def size(self) -> int:
        """Number of workers."""
        return dist.get_world_size(self.group)

    def trade(self, pack: Callable[[], Sequence[bytes]]) -> list[bytes]:
        """Send the i-th parcel of ``pack()`` to worker i, for every i; what each worker sent here.

        If ``pack`` raises on some workers, all of them raise WorkerError with the same words: a
        length below zero announces a parcel that holds an error instead. Nobody is left waiting.
        """
        parcels, failure = self._attempt(pack)
        coming = self._announce(parcels, failure)
        received = self._send(parcels, [abs(length) for length in coming])
        self._raise_if_any_failed(coming, received, failure)
        return received

    def agree(self, work: Callable[[], Result]) -> Result:
        """``work()``, after which all workers go on, or all raise WorkerError."""
        done: list[Result] = []
        parcels, failure = self._attempt(lambda: done.append(work()) or [b""] * self.size)
        coming = self._announce(parcels, failure)
        if any(coming):  # else nobody failed, and there is nothing to send
            received = self._send(parcels, [abs(length) for length in coming])
            self._raise_if_any_failed(coming, received, failure)
        return done[0]

    def _attempt(
        self, pack: Callable[[], Sequence[bytes]]
    ) -> tuple[Sequence[bytes], Exception | None]:
        try:
            return pack(), None
        except Exception as error:  # whatever it is, the others must hear of it before we raise
            text = f"worker {self.rank}: {type(error).__name__}: {error}"
            return [text.encode()] * self.size, error

    def _announce(self, parcels: Sequence[bytes], failure: Exception | None) -> list[int]:
        """Tell every worker how long its parcel is; the lengths to come here."""
        sign = -1 if failure else 1
        lengths = torch.tensor([sign * len(parcel) for parcel in parcels], dtype=torch.int64)
        return self._all_to_all(lengths, [1] * self.size, [1] * self.size).tolist()

    def _send(self, parcels: Sequence[bytes], coming: list[int]) -> list[bytes]:
        data = torch.frombuffer(bytearray(b"".join(parcels) or b"\0"), dtype=torch.uint8)
        going = [len(parcel) for parcel in parcels]
        received = self._all_to_all(data[: sum(going)], going, coming)
        return [part.numpy().tobytes() for part in received.split(coming)]

    def _all_to_all(self, data: torch.Tensor, going: list[int], coming: list[int]) -> torch.Tensor:
        received = torch.empty(sum(coming), dtype=data.dtype, device=self._device)
        try:
            dist.all_to_all_single(received, data.to(self._device), coming, going, self.group)
        except RuntimeError as error:
            raise WorkerError(
                f"worker {self.rank} of {self.size}: the exchange failed: another worker ended, or "
                "did not answer within the timeout of the process group"
            ) from error
        self.sent += (sum(going) - going[self.rank]) * data.element_size()
        return received.cpu()

    @property
    def _device(self) -> torch.device:
        on_gpu = dist.get_backend(self.group) == "nccl"
        return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")

    @staticmethod
    def _raise_if_any_failed(
        coming: list[int], received: list[bytes], failure: Exception | None
    ) -> None:
        pairs = zip(coming, received, strict=True)
        texts = [text.decode() for length, text in pairs if length < 0]
        if texts:
            raise WorkerError("; ".join(texts)) from failure
