"""Compiled kernels: made by numba at first use, and kept on disk for exactly these sources.

Numba keeps a kernel beside its module, in ``__pycache__``, or else in the user's cache folder. The
environment variable ``NUMBA_CACHE_DIR`` names another folder: set it where both are read-only (a
container, a shared installation). Where no folder can be written the kernels are compiled again in
every process, which costs seconds each. ``NUMBA_DISABLE_JIT`` is switched off again: kernels need
integers of 64 bits that wrap around, which Python does not have. Both are said once, on standard
error.
"""

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
NOT_KEPT = (
    "paper_code: compiling kernels; no folder is writable to keep them, so every process compiles "
    "again: set NUMBA_CACHE_DIR to one that is."
)
JIT_NEEDED = "paper_code: NUMBA_DISABLE_JIT is switched off: the kernels run compiled only."

PACKAGE = __package__.partition(".")[0]
_COMPILES = re.compile(rb"^(from|import) .*\b(numba|compiled)\b", re.MULTILINE)


def kernel_sources(folder: Path) -> list[Path]:
    """The files below ``folder`` whose code may be compiled: those that import numba, or this."""
    return [path for path in sorted(folder.rglob("*.py")) if _COMPILES.search(path.read_bytes())]


def digest_of(folder: Path) -> str:
    """Sixteen digits that tell the kernels' sources below ``folder`` from others."""
    digest = hashlib.sha256()
    for path in kernel_sources(folder):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


_DIGEST = digest_of(Path(__file__).parents[1])
_not_kept = False
if numba.config.DISABLE_JIT:
    numba.config.DISABLE_JIT = 0  # for the whole process: numba compiles functions of its own too
    print(JIT_NEEDED, file=sys.stderr, flush=True)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled by numba at first use, once for a machine; other threads run meanwhile.

    Numba compares what is on disk with the kernel's own file alone. But a kernel holds the code of
    those that it calls: here every state of all the sources has a folder of its own.
    """
    global _not_kept
    compiled = numba.njit(nogil=True)(function)
    outside = numba.config.CACHE_DIR
    try:
        compiled.enable_caching()
        numba.config.CACHE_DIR = str(Path(compiled.stats.cache_path) / _DIGEST)
        compiled.enable_caching()
    except RuntimeError:  # numba's "no locator available": nothing is writable
        _not_kept = True
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
            print(NOT_KEPT if _not_kept else NOTICE, file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


event.register("numba:compile", _Announcer())

ONE = np.uint64(1)
TOP = np.uint64(1 << 63)
LOW32 = np.uint64(0xFFFFFFFF)
