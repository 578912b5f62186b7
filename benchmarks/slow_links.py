"""Workers in network namespaces of this machine, joined by links that are really slow.

Every worker has a namespace of its own whose only link, eth0, is shaped by tc's token bucket filter
both ways: upload at the worker's end, download at the hub's. The hub is a namespace with a bridge,
so that the machine's own network is never touched. Needs Linux, root, iproute2, and veth, bridge
and tbf in the kernel.

    with slow_links.network(workers=4) as network:
        network.shape(10e6)
        subprocess.run([*network.inside(0), "ping", "-c1", network.address(1)])
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEVICE = "eth0"
_PREFIX = "slow-links-"
_SUBNET = "10.77.0"  # exists in these namespaces only
_BURST_SECONDS, _LEAST_BURST = 2e-3, 1 << 15


@dataclass(frozen=True)
class Network:
    """Namespaces joined by a bridge in the namespace ``hub``."""

    hub: str
    spaces: tuple[str, ...]

    def inside(self, worker: int) -> list[str]:
        """The words before a command that run it in a worker's namespace."""
        return ["ip", "netns", "exec", self.spaces[worker]]

    def address(self, worker: int) -> str:
        """The worker's own address."""
        return f"{_SUBNET}.{worker + 1}"

    def shape(self, rate: float) -> None:
        """Limit every link to ``rate`` bits a second each way.

        A burst of 2 ms: with a smaller one tbf misses fast rates, a larger one lets short messages
        by unshaped; half a super-packet of 64 KiB at least. A queue of 200 ms.
        """
        burst = max(_LEAST_BURST, round(rate * _BURST_SECONDS / 8))
        limit = ["rate", f"{round(rate)}bit", "burst", f"{burst}b", "latency", "200ms"]
        for worker, space in enumerate(self.spaces):
            for where, device in ((space, DEVICE), (self.hub, _port(worker))):
                _run(["tc", "-n", where, "qdisc", "replace", "dev", device, "root", "tbf", *limit])


@contextlib.contextmanager
def network(workers: int) -> Iterator[Network]:
    """Namespaces for so many workers, removed in the end whatever happens.

    Raises RuntimeError, saying why, where they are not to be had.
    """
    if reason := why_not():
        raise RuntimeError(reason)
    _remove_those_of_dead_processes()
    name = f"{_PREFIX}{os.getpid()}"
    network = Network(f"{name}-hub", tuple(f"{name}-{i}" for i in range(workers)))
    try:
        _make(network)
        yield network
    finally:
        for space in (network.hub, *network.spaces):  # veth pairs and the bridge go with them
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)


def why_not() -> str | None:
    """Why this machine has no such links; None where it has."""
    if not sys.platform.startswith("linux"):
        return f"network namespaces are Linux's; this is {sys.platform}"
    if os.geteuid():
        return "network namespaces need root"
    if missing := [name for name in ("ip", "tc") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} of iproute2 cannot be found"
    trial = Network(f"{_PREFIX}{os.getpid()}-try", (f"{_PREFIX}{os.getpid()}-end",))
    try:
        _make(trial)
        trial.shape(10e6)
    except RuntimeError as error:
        return f"this machine cannot make slow links: {error}"
    finally:
        for space in (trial.hub, *trial.spaces):
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)
    return None


def bytes_sent() -> int:
    """Bytes that have left this process's namespace so far, with all headers: the kernel counts."""
    return int(Path(f"/sys/class/net/{DEVICE}/statistics/tx_bytes").read_text())


def _make(network: Network) -> None:
    for space in (network.hub, *network.spaces):
        _run(["ip", "netns", "add", space])
        _run(["ip", "-n", space, "link", "set", "lo", "up"])
    hub = ["ip", "-n", network.hub, "link"]
    _run([*hub, "add", "bridge", "type", "bridge"])
    _run([*hub, "set", "bridge", "up"])
    for worker, space in enumerate(network.spaces):
        ends = ["type", "veth", "peer", DEVICE, "netns", space]
        _run([*hub, "add", _port(worker), *ends])
        _run([*hub, "set", _port(worker), "master", "bridge", "up"])
        _run(["ip", "-n", space, "addr", "add", f"{network.address(worker)}/24", "dev", DEVICE])
        _run(["ip", "-n", space, "link", "set", DEVICE, "up"])


def _remove_those_of_dead_processes() -> None:
    """What a run that was killed could not remove."""
    for line in _run(["ip", "netns", "list"]).splitlines():
        name = line.split()[0] if line else ""
        owner = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and not Path(f"/proc/{owner}").exists():
            _run(["ip", "netns", "delete", name])


def _port(worker: int) -> str:
    return f"port{worker}"


def _run(words: list[str]) -> str:
    """What the command prints. Raises RuntimeError with its words where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
