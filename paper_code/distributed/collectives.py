"""Bytes that workers send each other: counted where they are sent, and failures heard by all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

try:
    import torch
    import torch.distributed as dist
except ModuleNotFoundError as error:
    raise ImportError(
        "paper_code.distributed needs PyTorch for this: "
        "pip install 'optimal-gradient-compression[torch]'"
    ) from error

Result = TypeVar("Result")
Sending = tuple[dist.Work, torch.Tensor]  # what was begun, and the memory that must last until then

_HEADER, _PARCEL = 0, 1  # a header says how long the parcel is that follows it
_LABELS = 1 << 15  # a header is +-(length * _LABELS + label): all in 64 bits


class WorkerError(RuntimeError):
    """Something failed on a worker; every worker that still lives raises it."""


@dataclass
class Exchange:
    """One worker's end of a process group, ``group`` or all processes.

    ``sent`` counts the bytes that this worker gave to the group for others, headers included.
    Parcels travel from the main memory, point to point: so they may be exchanged by one thread
    while another uses the group's collectives, and by several threads at once if each has a
    ``channel`` of its own, the same on all workers. The group needs a backend for the CPU, such as
    gloo.
    """

    group: dist.ProcessGroup | None = None
    sent: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def rank(self) -> int:
        """This worker's number."""
        return dist.get_rank(self.group)

    @property
    def size(self) -> int:
        """Number of workers."""
        return dist.get_world_size(self.group)

    def trade(
        self, pack: Callable[[], Sequence[bytes]], label: int = 0, channel: int = 0
    ) -> list[bytes]:
        """Send the i-th parcel of ``pack()`` to worker i, for every i; what each worker sent here.

        If ``pack`` raises on some workers, all of them raise WorkerError with the same words: a
        header below zero announces a parcel that holds an error instead. So they do where the
        labels differ, each saying which it met. Nobody is left waiting.
        """
        try:
            parcels, failed = pack(), None
        except WorkerError:  # the others raise it too
            raise
        except Exception as error:  # whatever it is, the others must hear of it before we raise
            text = f"worker {self.rank}: {type(error).__name__}: {error}"
            parcels, failed = [text.encode()] * self.size, error
        received, errors = self._send_and_receive(
            parcels, label % _LABELS, channel, failed is not None
        )
        if errors:
            raise WorkerError("; ".join(received[i].decode() for i in errors)) from failed
        return received

    def agree(self, work: Callable[[], Result], label: int = 0) -> Result:
        """``work()``, after which all workers go on, or all raise WorkerError."""
        done: list[Result] = []

        def pack() -> list[bytes]:
            done.append(work())
            return [b""] * self.size

        self.trade(pack, label)
        return done[0]

    def _send_and_receive(
        self, parcels: Sequence[bytes], label: int, channel: int, failed: bool
    ) -> tuple[list[bytes], list[int]]:
        """What each worker sent here, and the numbers of those that sent an error."""
        if self.size == 1:
            return list(parcels), [0] if failed else []
        self._check_backend()
        try:
            return self._through_the_group(parcels, label, channel, failed)
        except WorkerError:
            raise
        except Exception as error:  # half-way through, there is no telling the others any more
            raise WorkerError(
                f"worker {self.rank} of {self.size}: the exchange failed: another worker ended, or "
                "did not answer within the timeout of the process group"
            ) from error

    def _through_the_group(
        self, parcels: Sequence[bytes], label: int, channel: int, failed: bool
    ) -> tuple[list[bytes], list[int]]:
        rank, size = self.rank, self.size
        others = [(rank + i) % size for i in range(1, size)]  # not all to the same one at a time
        header_tag, parcel_tag = (2 * channel + kind for kind in (_HEADER, _PARCEL))
        headers = {other: torch.empty(1, dtype=torch.int64) for other in others}
        tensors = {id(parcel): _tensor(parcel) for parcel in parcels if parcel}  # it may be but one
        coming = [self._receive(header, other, header_tag) for other, header in headers.items()]
        going = [
            self._send(_header(parcels[other], label, failed), other, header_tag)
            for other in others
        ]
        sending = [
            self._send(tensors[id(parcels[other])], other, parcel_tag)
            for other in others
            if parcels[other]
        ]
        _wait_for([*coming, *going])
        self._check_labels(label, headers)
        errors = [other for other, header in headers.items() if header < 0]
        lengths = {other: abs(int(header)) // _LABELS for other, header in headers.items()}
        received = {other: bytearray(n) for other, n in lengths.items()}
        arriving = [
            self._receive(_tensor(parcel), other, parcel_tag)
            for other, parcel in received.items()
            if parcel
        ]
        _wait_for([*arriving, *sending])
        return [received.get(i, parcels[i]) for i in range(size)], sorted(errors + [rank] * failed)

    def _check_labels(self, label: int, headers: dict[int, torch.Tensor]) -> None:
        for other, header in headers.items():
            if (theirs := abs(int(header)) % _LABELS) != label:
                raise WorkerError(
                    f"worker {other} sent what worker {self.rank} did not expect (label {theirs}, "
                    f"not {label}): one of them left out a step, or began from another checkpoint"
                )

    def _send(self, tensor: torch.Tensor, other: int, tag: int) -> Sending:
        """Begin to send."""
        with self._counting:
            self.sent += tensor.nbytes
        return _begun(dist.isend(tensor, self._everywhere(other), self.group, tag)), tensor

    def _receive(self, into: torch.Tensor, other: int, tag: int) -> Sending:
        """Begin to receive."""
        return _begun(dist.irecv(into, self._everywhere(other), self.group, tag)), into

    def _everywhere(self, other: int) -> int:
        """The number among all processes of worker ``other`` of this group."""
        return other if self.group is None else dist.get_global_rank(self.group, other)

    def _check_backend(self) -> None:
        if "cpu:" not in (backends := str(dist.get_backend_config(self.group))):
            raise ValueError(
                f"the process group has the backends {backends!r}, none for the CPU, where frames "
                "are: pass group=torch.distributed.new_group(backend='gloo')"
            )


def _header(parcel: bytes, label: int, failed: bool) -> torch.Tensor:
    number = len(parcel) * _LABELS + label
    return torch.tensor([-number if failed else number])


def _tensor(parcel: bytes) -> torch.Tensor:
    """The memory of a parcel, or for bytes, which torch does not take without a warning, a copy."""
    memory = parcel if isinstance(parcel, bytearray) else bytearray(parcel)
    return torch.frombuffer(memory, dtype=torch.uint8)


def _begun(work: dist.Work | None) -> dist.Work:
    """``work``, which torch gives to members of the group alone."""
    if work is None:
        raise RuntimeError("this process is no member of the process group")
    return work


def _wait_for(sendings: Iterable[Sending]) -> None:
    for work, _ in sendings:
        work.wait()
