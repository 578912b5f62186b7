"""Federated training on this machine: a server and clients of Flower's, each a process of its own.

    python examples/federated/run.py --compressor identity trellis

Prints, for every compressor, the accuracy in per cent after each round and the bytes of the frames
that the server received. `--damaged 1` lets that client flip a bit in its frames, `--killed 2` that
one die in the last round.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

APP = Path(__file__).parent
RELEASE = "1.27."  # whose commands are started here; later ones have other options


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    choices = ["trellis", "sd", "identity"]
    parser.add_argument("--compressor", nargs="+", default=["trellis"], choices=choices)
    parser.add_argument("--alpha", type=float, default=0.2, help="distortion of a message")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=4, help="that a client trains a round")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a round may take")
    parser.add_argument("--damaged", type=int, default=-1, help="client that damages its frames")
    parser.add_argument("--killed", type=int, default=-1, help="client that dies in the last round")
    chosen = parser.parse_args()
    check(parser, chosen)
    try:
        found = version("flwr")
    except PackageNotFoundError:
        found = "nothing"
    if not found.startswith(RELEASE):
        parser.error(f"flwr {RELEASE}* is needed, but {found} is installed; see README.md")
    return chosen


def check(parser: argparse.ArgumentParser, s: argparse.Namespace) -> None:
    """End the program, and say why, if a value is not allowed."""
    who = f"-1 (nobody) to {s.clients - 1}, the clients' numbers"
    for name, holds, allowed in [
        ("alpha", 1e-9 <= s.alpha < 1, "1e-9 <= alpha < 1"),
        ("clients", s.clients >= 1, "1 and more"),
        ("rounds", s.rounds >= 1, "1 and more"),
        ("epochs", s.epochs >= 1, "1 and more"),
        ("timeout", 0 < s.timeout < float("inf"), "positive, finite seconds"),
        ("damaged", -1 <= s.damaged < s.clients, who),
        ("killed", -1 <= s.killed < s.clients, who),
    ]:
        if not holds:
            parser.error(f"--{name} is {getattr(s, name)}; allowed are {allowed}")


def environment(home: str) -> dict[str, str]:
    """For Flower's commands: where they are, where they may write, and that nothing is reported."""
    places = [Path(sys.executable).parent, Path(distribution("flwr").locate_file("bin"))]
    own = {"FLWR_HOME": home, "FLWR_TELEMETRY_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]])}


def free_addresses(n: int) -> list[str]:
    with ExitStack() as stack:  # all open at once: n different ones
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return ["{}:{}".format(*each.getsockname()) for each in sockets]


@contextmanager
def running(command: list[str], env: dict[str, str]) -> Iterator[None]:
    """Within, the command runs; what it started ends with it."""
    log = open(Path(env["FLWR_HOME"]) / "log", "ab")  # noqa: SIM115 - the process keeps it
    process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    log.close()
    try:
        yield
    finally:
        with suppress(ProcessLookupError, PermissionError):  # all have ended (macOS: the latter)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def federation(clients: int, env: dict[str, str]) -> Iterator[None]:
    """Within, a server and its clients run, and `flwr run ... here` finds them."""
    app, fleet, control, *own = free_addresses(3 + clients)
    config = (
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{control}"\ninsecure = true'
    )
    (Path(env["FLWR_HOME"]) / "config.toml").write_text(config + "\n", "utf-8")
    addresses = ["--serverappio-api-address", app, "--fleet-api-address", fleet]
    addresses += ["--control-api-address", control]
    with ExitStack() as stack:
        stack.enter_context(running(["flower-superlink", "--insecure", *addresses], env))
        for number, address in enumerate(own):
            command = ["flower-supernode", "--insecure", "--superlink", fleet]
            command += ["--clientappio-api-address", address]
            command += ["--node-config", f"partition-id={number} num-partitions={clients}"]
            stack.enter_context(running(command, env))
        wait_for(control)
        yield


def wait_for(address: str, seconds: float = 180.0) -> None:
    """Until somebody listens there. Raises TimeoutError."""
    host, port = address.split(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens at {address} after {seconds:g} s") from None
            time.sleep(0.2)


def run(compressor: str, s: argparse.Namespace) -> dict[str, object]:
    """What the server wrote when all rounds were over. Raises RuntimeError if it did not."""
    with tempfile.TemporaryDirectory() as home:
        env, output = environment(home), Path(home) / "output.json"
        given = {**vars(s), "compressor": compressor, "output": str(output)}
        options = " ".join(f"{name}={json.dumps(value)}" for name, value in given.items())
        with federation(s.clients, env):
            command = ["flwr", "run", str(APP), "here", "--stream", "--run-config", options]
            subprocess.run(command, env=env, stdout=sys.stderr, check=True)
        if not output.exists():
            log = (Path(home) / "log").read_text("utf-8", "replace")
            raise RuntimeError(f"the server wrote no result:\n{log}")
        return json.loads(output.read_text("utf-8"))


def leave(number: int, _: object) -> None:
    """Answer a signal as an exit does, so that what was started ends too."""
    signal.signal(number, signal.SIG_IGN)  # a second one would cut this short
    sys.exit(128 + number)


def main() -> None:
    signal.signal(signal.SIGTERM, leave)
    chosen = settings()
    for name in chosen.compressor:
        result = run(name, chosen)
        print(json.dumps(result), flush=True)
        if not result["frame_bytes"]:
            sys.exit(f"{name}: no frames came in {chosen.rounds} rounds; the lines above say why")


if __name__ == "__main__":
    main()
