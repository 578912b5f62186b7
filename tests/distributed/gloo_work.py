"""What the workers of ``gloo.run`` do. Imported once, in the server that they are forked from."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from paper_code import (
    Compressor,
    EntropyCodedSparseDithering,
    Identity,
    SparseDithering,
)
from paper_code.distributed import (
    CompressedMean,
    CompressedReduceScatter,
    Exchange,
    Hook,
    OuterStep,
    WorkerError,
    ddp,
    error_feedback,
    hook,
)
from paper_code.messages import message

SCHEME = EntropyCodedSparseDithering(0.5)
UNBIASED = SparseDithering(0.25, unbiased=True)

for _compressor in (SCHEME, UNBIASED):  # compiled before the fork, once for all workers
    _compressor.encode(np.ones(9, np.float32), np.random.default_rng(0)).decode()


class Network(torch.nn.Module):
    """Three layers, not registered as they are used: buckets change after the first step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.middle = torch.nn.Linear(60, 60)
        self.last, self.first = torch.nn.Linear(60, 4), torch.nn.Linear(16, 60)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.middle(self.first(x).relu()).relu())


class Training:
    """A small network whose workers see different data; ``caps`` is the size of its buckets."""

    def __init__(self, averaging: Hook | None, cap: float = 0.01, **kind: Any) -> None:
        plain = Network().to(**kind)
        self.kind, self.averaging = kind, averaging
        self.model = DistributedDataParallel(plain, bucket_cap_mb=cap)
        if averaging:
            self.model.register_comm_hook(plain, averaging)
        self.optimiser = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)

    def step(self, number: int, spoil: bool = False) -> float:
        """One step on the data of its number; its loss. A spoilt one meets a NaN."""
        rng = np.random.default_rng([number, dist.get_rank()])
        x = torch.tensor(rng.standard_normal((16, 16)), dtype=torch.float32).to(**self.kind)
        if spoil:
            x[0, 0] = torch.nan
        self.optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(x), x[:, :4].argmax(1))
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def bytes(self) -> bytes:
        """All parameters, bit by bit."""
        with torch.no_grad():
            parts = [part.reshape(-1) for part in self.model.parameters()]
            return torch.cat(parts).double().cpu().numpy().tobytes()

    def state(self) -> dict[str, Any]:
        """A checkpoint of this worker."""
        parts = {"model": self.model.module, "optimiser": self.optimiser, "hook": self.averaging}
        return {name: part.state_dict() for name, part in parts.items()}

    def load(self, state: dict[str, Any]) -> None:
        self.model.module.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.averaging.load_state_dict(state["hook"])


def train(
    rank: int,
    n: int,
    steps: int,
    compressor: Compressor | None,
    cap: float,
    options: dict[str, Any],
) -> tuple[list[bytes], list[float]]:
    """The parameters and the loss after every step; without a compressor, plain averaging."""
    training = Training(hook(compressor, **options) if compressor else None, cap)
    losses, states = [], []
    for number in range(steps):
        losses.append(training.step(number))
        states.append(training.bytes())
    return states, losses


def train_in(
    rank: int, n: int, dtype: torch.dtype, device: str, compressor: Compressor = SCHEME
) -> tuple[bytes, float]:
    """Train with another element type, or on another device."""
    training = Training(hook(compressor), dtype=dtype, device=device)
    losses = [training.step(number) for number in range(20)]
    assert {part.grad.dtype for part in training.model.parameters()} == {dtype}
    return training.bytes(), losses[-1]


def stop_and_resume(rank: int, n: int, folder: str, compressor: Compressor) -> list[bytes]:
    """Six steps without a stop; three, a checkpoint, and three more from what is on the disk.

    One goes on whose buckets are as they were at first, and one that had trained otherwise before.
    """
    whole, stopped, fresh, used = (Training(hook(compressor)) for _ in range(4))
    path = Path(folder) / f"worker-{rank}.pt"
    for number in range(6):
        whole.step(number)
    for number in range(3):
        stopped.step(number)
    torch.save(stopped.state(), path)
    used.step(9)
    for resumed in (fresh, used):
        resumed.load(torch.load(path, weights_only=True))
        again = resumed.averaging.state_dict()
        kept = stopped.averaging.state_dict()
        assert all(torch.equal(again[name], part) for name, part in kept.items())
        for number in range(3, 6):
            resumed.step(number)
    return [whole.bytes(), fresh.bytes(), used.bytes()]


def names_in_state(rank: int, n: int) -> dict[str, tuple[int, ...]]:
    """What the hook's state holds after a step, and that it refuses another worker's."""
    training = Training(hook(SCHEME))
    training.step(0)
    state = training.averaging.state_dict()
    try:
        training.averaging.load_state_dict({**state, "rank": torch.tensor(1 - rank)})
    except ValueError as error:
        assert (
            str(error) == f"state is of worker {1 - rank} of {n}, but this is worker {rank} of {n}"
        )
        return {name: tuple(part.shape) for name, part in state.items()}
    raise AssertionError("the state of another worker was loaded")


def fail(rank: int, n: int, how: str, who: int, group_size: int = 1 << 20) -> None:
    """Train until, in step 2, worker ``who`` meets the trouble that ``how`` names."""
    training = Training(hook(SCHEME, group_size=group_size))
    for number in range(4):
        mine = number == 2 and rank == who
        if mine and how == "killed":
            os._exit(9)
        if mine and how == "silent":
            time.sleep(6)
        if mine and how.startswith("damaged"):
            _damage(int(how[-1]))
        training.step(number, spoil=mine and how == "nan")


def _damage(which: int) -> None:
    """Flip one bit in the which-th payload that arrives here from now on, from worker 0."""
    honest, seen = dist.irecv, []

    class Damaged:
        def __init__(self, work: dist.Work, into: torch.Tensor) -> None:
            self.work, self.into = work, into

        def wait(self) -> None:
            self.work.wait()
            self.into[len(self.into) // 2] ^= 4

    def receive(into: torch.Tensor, sender: int, *rest: Any) -> Any:
        work = honest(into, sender, *rest)
        if into.dtype == torch.uint8 and sender == 0:
            seen.append(into)
            if len(seen) == which:
                return Damaged(work, into)
        return work

    dist.irecv = receive


def refuse(rank: int, n: int, compressor: Compressor, state: object) -> None:
    """Register the hook with something that is no module."""
    training = Training(None)
    training.model.register_comm_hook(state or training.model, hook(compressor, True))
    training.step(0)


def average(
    rank: int, n: int, compressor: Compressor, d: int, rounds: int, stages: int, feedback: bool
) -> dict[str, Any]:
    """``rounds`` means of vectors of ``d`` coordinates; bytes sent as counted and as received."""
    mean = CompressedMean(compressor, Exchange(), stages)
    memory = mean.empty_memory(np.zeros(d, np.float32)) if feedback else None
    honest, arrived = dist.irecv, []

    def counted(into: torch.Tensor, *rest: Any) -> dist.Work:
        arrived.append(into.nbytes)
        return honest(into, *rest)

    dist.irecv = counted
    given, means = np.zeros(d), np.zeros(d)
    for number in range(rounds):
        rng = np.random.default_rng([number, rank])
        x = rng.standard_normal(d).astype(np.float32)
        given += x
        mean_of_x, memory = mean(x, memory, rng)
        means += mean_of_x
    return {
        "given": given,
        "means": means,
        "memory": memory,
        "sent": mean.exchange.sent / rounds,
        "arrived": sum(arrived) / rounds,
    }


def count_frames(
    rank: int, n: int, compressor: Compressor, stages: int, feedback: bool
) -> tuple[int, int]:
    """How many frames this worker makes, and how many messages it decodes, for a mean."""
    mean = CompressedMean(compressor, Exchange(), stages)
    x = np.random.default_rng(rank).standard_normal(100).astype(np.float32)
    made, decoded = [], []
    honest = message.write_frame_parts, message.Message.decode
    for module in (message, error_feedback):
        module.write_frame_parts = lambda one: made.append(one) or honest[0](one)
    message.Message.decode = lambda one: decoded.append(one) or honest[1](one)
    mean(x, mean.empty_memory(x) if feedback else None)
    return len(made), len(decoded)


class Forked(torch.nn.Module):
    """Two ways through it; the parameters of the way not taken have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.ways = torch.nn.ModuleList([torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)])

    def forward(self, x: torch.Tensor, way: int) -> torch.Tensor:
        return self.ways[way](x).square().mean()


def train_with_unused(rank: int, n: int, averaging: bool) -> bytes:
    """Workers go different ways, gather two gradients before they average; the parameters."""
    plain = Forked()
    model = DistributedDataParallel(plain, bucket_cap_mb=1e-4, find_unused_parameters=True)
    if averaging:
        model.register_comm_hook(plain, hook(Identity(), stages=2))
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1)
    for number in range(4):
        x = torch.tensor(np.random.default_rng([number, rank]).standard_normal((2, 4, 8))).float()
        optimiser.zero_grad()
        with model.no_sync():
            model(x[0], number % 2).backward()
        model(x[1], (number + rank) % 2).backward()
        optimiser.step()
    return b"".join(part.detach().numpy().tobytes() for part in plain.parameters())


def average_of(rank: int, n: int, kind: str) -> None:
    """The mean of something that is no vector of floats."""
    x = torch.ones(50) if kind == "tensor" else np.ones(50, np.int64)
    CompressedMean(SCHEME, Exchange())(x)


def trade(rank: int, n: int) -> tuple[list[bytes], int]:
    """What came here from everybody, and the bytes that were sent."""
    exchange = Exchange()
    received = exchange.trade(lambda: [bytes([rank]) * (100 * i + rank) for i in range(n)])
    return received, exchange.sent


def trade_in_a_group(rank: int, n: int) -> list[bytes] | None:
    """Workers 1 and 2 are numbers 0 and 1 of a group of their own."""
    group = dist.new_group([1, 2])
    exchange = Exchange(group)
    return (
        exchange.trade(lambda: [b"%d" % (2 * exchange.rank + i) for i in range(2)])
        if rank
        else None
    )


def disagree(rank: int, n: int) -> None:
    Exchange().agree(lambda: {0: None, 2: None}[rank])


def trade_out_of_step(rank: int, n: int) -> None:
    """Worker 0 is a step behind."""
    Exchange().trade(lambda: [b"parcel"] * n, label=7 if rank else 6)


class Normed(torch.nn.Module):
    """With buffers, which DistributedDataParallel broadcasts before every forward pass."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(16, 30), torch.nn.BatchNorm1d(30))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).square().mean()


def skip_a_backward(rank: int, n: int, who: int) -> None:
    """Worker ``who`` goes from one forward pass to the next without a backward pass between."""
    plain = Normed()
    model = DistributedDataParallel(plain)
    model.register_comm_hook(plain, hook(SCHEME))
    for number in range(4):
        loss = model(torch.randn(8, 16))
        if not (rank == who and number == 2):
            loss.backward()


def average_with_damage(rank: int, n: int, stages: int) -> tuple[bool, str]:
    """Whether the memory stayed as it was when worker 1 got a damaged frame; the error."""
    mean = CompressedMean(SCHEME, Exchange(), stages)
    x = np.random.default_rng(rank).standard_normal(3000).astype(np.float32)
    _, memory = mean(x, mean.empty_memory(x))
    before = [part.copy() for part in memory]
    if rank == 1:
        _damage(stages)  # the last payload from worker 0 in a round
    try:
        mean(x, memory)
    except WorkerError as error:
        return all(map(np.array_equal, before, memory)), str(error)
    raise AssertionError("the damage was not found")


def damage_the_last_group(rank: int, n: int) -> tuple[int, bool, str]:
    """How many groups there are, whether an error left the hook's state as it was, the error."""
    averaging = hook(SCHEME, group_size=500)
    training = Training(averaging)
    training.step(0)
    sent = _count_payloads()
    training.step(1)
    before = averaging.state_dict()
    if rank == 1:
        _damage(len(sent))
    try:
        training.step(2)
    except WorkerError as error:
        after = averaging.state_dict()
        same = before.keys() == after.keys() and all(
            torch.equal(part, after[name]) for name, part in before.items()
        )
        return len(sent) // 2, same, str(error)
    raise AssertionError("the damage was not found")


def train_a_row(rank: int, n: int, copied: bool) -> tuple[bytes, bool]:
    """Layers in the order of their use; the parameters, and if gradients were averaged in place."""
    torch.manual_seed(0)
    plain = torch.nn.Sequential(*(torch.nn.Linear(20, 20) for _ in range(3)))
    model, honest, seen = DistributedDataParallel(plain), ddp._in_one_piece, list[bool]()
    ddp._in_one_piece = lambda parts: seen.append(honest(parts)) or (seen[-1] and not copied)
    model.register_comm_hook(plain, hook(SCHEME, group_size=500))
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1)
    for number in range(4):
        x = torch.tensor(np.random.default_rng([number, rank]).standard_normal((8, 20))).float()
        optimiser.zero_grad()
        model(x).square().mean().backward()
        optimiser.step()
    return b"".join(part.detach().numpy().tobytes() for part in plain.parameters()), seen[-1]


def _count_payloads() -> list[int]:
    """A list that grows with every payload from one other worker: one in each of two stages."""
    honest, sizes = dist.irecv, []

    def receive(into: torch.Tensor, sender: int, *rest: Any) -> dist.Work:
        if into.dtype == torch.uint8 and sender == (1 if dist.get_rank() == 0 else 0):
            sizes.append(into.nbytes)
        return honest(into, sender, *rest)

    dist.irecv = receive
    return sizes


def complex_gradients(rank: int, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The weights, and the gradient of sum |(rank + 1) w|^2 with respect to them."""
    torch.manual_seed(0)
    plain = torch.nn.Module()
    plain.weight = torch.nn.Parameter(torch.randn(4, dtype=torch.complex64))
    plain.forward = lambda x: (plain.weight * x).abs().square().sum()
    model = DistributedDataParallel(plain)
    model.register_comm_hook(plain, hook(Identity()))
    model(torch.ones(4) * (rank + 1)).backward()
    return plain.weight.detach().numpy(), plain.weight.grad.numpy()


def wait_in_backward(rank: int, n: int) -> bool:
    """Whether bytes were sent before the backward pass of the first layer began."""
    plain = torch.nn.Sequential(torch.nn.Linear(16, 60), torch.nn.ReLU(), torch.nn.Linear(60, 60))
    model = DistributedDataParallel(plain, bucket_cap_mb=0.001)
    averaging = hook(SCHEME, group_size=1000)
    model.register_comm_hook(plain, averaging)
    for _ in range(2):
        model(torch.ones(8, 16)).sum().backward()
    before, sent = averaging.bytes_sent, []

    def wait(_: torch.Tensor) -> None:
        last = time.monotonic() + 15
        while averaging.bytes_sent == before and time.monotonic() < last:
            time.sleep(0.01)
        sent.append(averaging.bytes_sent > before)

    def watch(layer: torch.nn.Module, given: object, result: torch.Tensor) -> None:
        result.register_hook(wait)

    plain[0].register_forward_hook(watch)
    model(torch.ones(8, 16)).sum().backward()
    return sent == [True]


def pack_while_another_waits(rank: int, n: int) -> bool:
    """Whether a group was packed while the one before it was held up before its first messages."""
    averaging = hook(SCHEME, group_size=500)
    training = Training(averaging)
    training.step(0)
    exchange, packed, seen = averaging.mean.exchange, threading.Event(), list[bool]()
    honest = exchange.trade

    def trade(pack: Callable[[], Any], label: int = 0, channel: int = 0) -> list[bytes]:
        if channel == 0 and not seen:
            seen.append(packed.wait(15))
        if channel == 1:
            packed.set()
        return honest(pack, label, channel)

    exchange.trade = trade
    training.step(1)
    return seen == [True]


def misuse(rank: int, n: int, how: str) -> None:
    """Use a hook in a way that cannot work."""
    averaging, plain = hook(SCHEME), Network()
    if how == "empty state":
        averaging.load_state_dict({})
    if how == "another module":
        model = DistributedDataParallel(plain)
        model.register_comm_hook(Network(), averaging)
        model(torch.ones(8, 16)).sum().backward()
    if how == "two models":
        for _ in range(2):
            plain = Network()
            model = DistributedDataParallel(plain)
            model.register_comm_hook(plain, averaging)
            model(torch.ones(8, 16)).sum().backward()
    plain.middle.requires_grad_(False)
    for frozen in (True, False):
        plain.middle.requires_grad_(not frozen)
        model = DistributedDataParallel(plain)
        if not frozen and how == "state of frozen":
            state, averaging = averaging.state_dict(), hook(SCHEME)
            averaging.load_state_dict(state)
        model.register_comm_hook(plain, averaging)
        model(torch.ones(8, 16)).sum().backward()


def train_in_shards(
    rank: int, n: int, compressor: Compressor | None, steps: int, stop: int
) -> dict[str, Any]:
    """Train with FSDP2, PyTorch's own reduce-scatter without a compressor; whole parameters.

    After ``stop`` steps all memories go through their state into new ones.
    """
    torch.manual_seed(0)
    layers = [torch.nn.Linear(16, 33), torch.nn.ReLU(), torch.nn.Linear(33, 4)]
    model = torch.nn.Sequential(*layers)
    mesh = init_device_mesh("cpu", (n,))
    sharded = [layers[0], layers[2], model]
    for part in sharded:
        fully_shard(part, mesh=mesh)

    def compress() -> list[CompressedReduceScatter]:
        made = [CompressedReduceScatter(compressor) for _ in sharded] if compressor else []
        for part, scatter in zip(sharded, made, strict=False):
            part.set_custom_reduce_scatter(scatter)
        return made

    scatters, losses, sent = compress(), [], 0
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for number in range(steps):
        if number == stop:
            states = [scatter.state_dict() for scatter in scatters]
            sent, scatters = sum(scatter.bytes_sent for scatter in scatters), compress()
            for scatter, state in zip(scatters, states, strict=True):
                scatter.load_state_dict(state)
        x = torch.tensor(np.random.default_rng([number, rank]).standard_normal((16, 16))).float()
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), x[:, :4].argmax(1))
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    whole = [part.full_tensor().reshape(-1) for part in model.parameters()]
    shards = [part.to_local().numel() for part in model.parameters()]
    sent += sum(scatter.bytes_sent for scatter in scatters)
    return {
        "whole": torch.cat(whole).detach().numpy(),
        "shards": shards,
        "losses": losses,
        "sent": sent,
    }


def spoil_a_shard(rank: int, n: int) -> None:
    """Worker 1 has a NaN in its gradients."""
    layer = torch.nn.Linear(16, 16)
    fully_shard(layer, mesh=init_device_mesh("cpu", (n,)))
    layer.set_custom_reduce_scatter(CompressedReduceScatter(SCHEME))
    layer(torch.full((2, 16), torch.nan if rank == 1 else 1.0)).sum().backward()


class OuterTraining:
    """A small network with local steps of its own optimiser and outer steps."""

    def __init__(self, compressor: Compressor, **options: Any) -> None:
        self.model = Network()
        self.outer = OuterStep(self.model.named_parameters(), compressor, every=2, **options)
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def step(self, number: int, spoil: bool = False) -> float:
        """One step on the data of its number, then the outer one where it is due; its loss."""
        rng = np.random.default_rng([number, dist.get_rank()])
        x = torch.tensor(rng.standard_normal((16, 16)), dtype=torch.float32)
        self.optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(x), x[:, :4].argmax(1))
        loss.backward()
        self.optimiser.step()
        if spoil:
            self.model.middle.bias.data[7] = torch.nan
        self.outer.step()
        return float(loss.detach())

    def own(self) -> bytes:
        """This worker's parameters, bit by bit."""
        with torch.no_grad():
            return (
                torch.cat([part.reshape(-1) for part in self.model.parameters()]).numpy().tobytes()
            )

    def shared(self) -> bytes:
        """The parameters that all workers share, as the model has them."""
        with self.outer.shared_parameters():
            return self.own()

    def state(self) -> dict[str, Any]:
        """A checkpoint of this worker."""
        parts = {"model": self.model, "optimiser": self.optimiser, "outer": self.outer}
        return {name: part.state_dict() for name, part in parts.items()}

    def load(self, state: dict[str, Any]) -> None:
        for name, part in (
            ("model", self.model),
            ("optimiser", self.optimiser),
            ("outer", self.outer),
        ):
            part.load_state_dict(state[name])


def train_outer(
    rank: int, n: int, steps: int, compressor: Compressor, options: dict[str, Any]
) -> tuple[list[bytes], list[bytes], list[float], int]:
    """The shared and the own parameters after every step, the losses, and the bytes sent."""
    training = OuterTraining(compressor, **options)
    losses, shared, own = [], [], []
    for number in range(steps):
        losses.append(training.step(number))
        shared.append(training.shared())
        own.append(training.own())
    return shared, own, losses, training.outer.bytes_sent


def average_locally(rank: int, n: int, steps: int) -> NDArray[Any]:
    """The same local steps, and every second time the plain mean of the parameters."""
    training = OuterTraining(Identity())
    training.outer.every = steps + 1
    for number in range(steps):
        training.step(number)
        if number % 2:
            for part in training.model.parameters():
                dist.all_reduce(part.data)
                part.data /= n
    return np.frombuffer(training.own(), np.float32)


def stop_and_resume_outer(
    rank: int, n: int, folder: str, compressor: Compressor, stop: int
) -> list[tuple[bytes, bytes]]:
    """Seven steps without a stop; ``stop``, a checkpoint, and the rest from what is on the disk."""
    whole, stopped, resumed = (OuterTraining(compressor, momentum=0.5) for _ in range(3))
    path = Path(folder) / f"outer-{rank}.pt"
    for number in range(7):
        whole.step(number)
    for number in range(stop):
        stopped.step(number)
    torch.save(stopped.state(), path)
    resumed.step(9)
    resumed.load(torch.load(path, weights_only=True))
    for number in range(stop, 7):
        resumed.step(number)
    return [(whole.own(), whole.shared()), (resumed.own(), resumed.shared())]


def fail_outer(rank: int, n: int, how: str, who: int) -> tuple[bool, str]:
    """Meet trouble in the second outer step: whether all was left as it was, and the error."""
    training = OuterTraining(SCHEME)
    if how == "other start" and rank == who:
        training.outer.x[3] += 1
    for number in range(6):
        if mine := (number == 3 and rank == who):
            if how == "killed":
                os._exit(9)
            if how == "damaged":
                _damage(2)
        before = {name: part.clone() for name, part in training.outer.state_dict().items()}
        try:
            training.step(number, spoil=mine and how == "nan")
        except WorkerError as error:
            after = training.outer.state_dict()
            return all(torch.equal(before[name], after[name]) for name in before), str(error)
    raise AssertionError("there was no error")
