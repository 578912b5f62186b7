"""Compiled kernels: a line on screen where one has to wait for them, and no stale ones on disk."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

from numba.core import event

NOTICE = (
    "paper_code: compiling kernels for this machine; it takes seconds each, and is kept on disk."
)
_KERNEL = re.compile(rb"^@(kernel|njit)", re.MULTILINE)


class _Announcer(event.Listener):
    """Hears of every function that numba compiles; not of those that it finds on disk."""

    def __init__(self) -> None:
        self.done = False

    def on_start(self, event: event.Event) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not self.done and module.partition(".")[0] == __package__:
            self.done = True
            print(NOTICE, file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


def drop_stale(folder: Path) -> None:
    """Delete the kernels on disk that are older than any source with kernels below ``folder``.

    Numba compares a kernel with its own source only, but it may hold code of others that it calls:
    after a change of these, as by ``git pull``, it would go on with the old code.
    """
    sources = [path for path in folder.rglob("*.py") if _KERNEL.search(path.read_bytes())]
    newest = max((path.stat().st_mtime for path in sources), default=0.0)
    for index in folder.rglob("__pycache__/*.nbi"):
        with suppress(FileNotFoundError):  # another process may be quicker
            if index.stat().st_mtime < newest:
                # the code before its index: left behind, it could pass for another kernel's
                for code in index.parent.glob(f"{index.stem}.*.nbc"):
                    code.unlink(missing_ok=True)
                index.unlink()


event.register("numba:compile", _Announcer())
drop_stale(Path(__file__).parent)
