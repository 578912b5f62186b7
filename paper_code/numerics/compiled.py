"""Compiled kernels: kept on disk for these sources only, with a line on screen at their making."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import event

NOTICE = (
    "paper_code: compiling kernels for this machine; it takes seconds each, and is kept on disk."
)
_KERNEL = re.compile(rb"^@(compiled\.)?kernel$", re.MULTILINE)


def digest_of(folder: Path) -> str:
    """Sixteen digits that tell the sources below ``folder`` from others."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if _KERNEL.search(source := path.read_bytes()):
            digest.update(source)
    return digest.hexdigest()[:16]


PACKAGE = __package__.partition(".")[0]
_DIGEST = digest_of(Path(__file__).parents[1])


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled by numba at first use, once for a machine; other threads run meanwhile.

    Numba keeps it in a folder of its choice, and compares its file with that of the kernel alone.
    But a kernel holds the code of those that it calls: here every state of all the sources has a
    folder of its own.
    """
    compiled = numba.njit(cache=True, nogil=True)(function)
    outside = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(Path(compiled.stats.cache_path) / _DIGEST)
    try:
        compiled.enable_caching()
    finally:
        numba.config.CACHE_DIR = outside
    return compiled


class _Announcer(event.Listener):
    """Hears of every function that numba compiles; not of those that it finds on disk."""

    def __init__(self) -> None:
        self.done = False

    def on_start(self, event: event.Event) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not self.done and module.partition(".")[0] == PACKAGE:
            self.done = True
            print(NOTICE, file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


event.register("numba:compile", _Announcer())

ONE = np.uint64(1)
TOP = np.uint64(1 << 63)
LOW32 = np.uint64(0xFFFFFFFF)
