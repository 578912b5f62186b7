"""Run a function in n real processes joined by gloo, and collect what each returns or raises."""

import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.process
import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

TIMEOUT = 20.0  # of a collective; a lost worker must be noticed within it
DEADLINE = 90.0  # of a whole run, for a machine that has much else to do

_PROCESSES = multiprocessing.get_context("forkserver")

Outcome = tuple[str, Any]


def run(
    work: Callable[..., Any], n: int, *arguments: object, timeout: float = TIMEOUT
) -> list[Outcome]:
    """What came of ``work(rank, n, *arguments)`` on each worker.

    ("returned", value), ("raised", (words, seconds until then)) or ("died", exit code).
    """
    _start_server()
    with tempfile.TemporaryDirectory() as folder:
        processes, ends = [], []
        for rank in range(n):
            ours, theirs = _PROCESSES.Pipe(duplex=False)
            target = (work, rank, n, os.path.join(folder, "meet"), timeout, theirs, arguments)
            processes.append(_PROCESSES.Process(target=_worker, args=target, daemon=True))
            processes[-1].start()
            theirs.close()
            ends.append(ours)
        try:
            return [_outcome(*pair) for pair in zip(processes, ends, strict=True)]
        finally:
            for process in processes:
                process.kill()
                process.join()


def returned(outcomes: list[Outcome]) -> list[Any]:
    assert {kind for kind, _ in outcomes} == {"returned"}, outcomes
    return [value for _, value in outcomes]


def words(outcomes: list[Outcome], seconds: float) -> set[str]:
    """What was raised, in less than ``seconds``, on every worker that still lived."""
    raised = [value for kind, value in outcomes if kind == "raised"]
    assert len(raised) == len(outcomes) - sum(kind == "died" for kind, _ in outcomes), outcomes
    assert max(after for _, after in raised) < seconds
    return {text for text, _ in raised}


def _start_server() -> None:
    """Start, once, what workers are forked from. It has imported all, so they run at once.

    DistributedDataParallel would import torch._dynamo, for seconds, at the first model. The server
    looks for modules along PYTHONPATH only.
    """
    _PROCESSES.set_forkserver_preload(["torch._dynamo", "gloo_work"])
    tests = Path(__file__).parent
    with mock.patch.dict(
        os.environ, PYTHONPATH=os.pathsep.join(map(str, (tests, *tests.parents[:2])))
    ):
        multiprocessing.forkserver.ensure_running()


def _outcome(
    process: multiprocessing.process.BaseProcess, end: multiprocessing.connection.Connection
) -> Outcome:
    try:
        assert end.poll(DEADLINE), f"{process.name} hangs"
        return end.recv()
    except EOFError:
        process.join()
        return "died", process.exitcode


def _worker(
    work: Callable[..., Any],
    rank: int,
    n: int,
    meet: str,
    timeout: float,
    end: multiprocessing.connection.Connection,
    arguments: tuple[Any, ...],
) -> None:
    torch.set_num_threads(1)
    wait = timedelta(seconds=timeout)
    dist.init_process_group("gloo", f"file://{meet}", rank=rank, world_size=n, timeout=wait)
    started = time.monotonic()
    try:
        outcome = ("returned", work(rank, n, *arguments))
    except Exception as error:
        outcome = ("raised", (f"{type(error).__name__}: {error}", time.monotonic() - started))
    end.send(outcome)
    end.close()
    # A process that ends takes its sockets with it, which the slower ones would hear as a failure.
    time.sleep(0 if n == 1 else 0.2)
    os._exit(0)
