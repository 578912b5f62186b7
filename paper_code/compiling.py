"""One line on screen where the first use has to wait for the compiler."""

from __future__ import annotations

import sys

from numba.core import event

NOTICE = (
    "paper_code: compiling kernels for this machine; it takes seconds each, and is kept on disk."
)


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


event.register("numba:compile", _Announcer())
