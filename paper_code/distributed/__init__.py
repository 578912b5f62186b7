"""Compressed messages between workers: PyTorch's DistributedDataParallel and Flower.

    paper_code.distributed.hook     averages gradients by compressed messages (needs torch)
    paper_code.distributed.OuterStep  averages parameters after many local steps (needs torch)
    paper_code.distributed.CompressedReduceScatter  the hook's part in FSDP2 (needs torch)
    paper_code.distributed.flower   federated learning with Flower (needs flwr, not torch)

Importing this package loads neither: its names are looked up when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collectives import Exchange, WorkerError
    from .compressed_mean import CompressedMean
    from .ddp import Hook, hook
    from .error_feedback import ErrorFeedback
    from .fsdp import CompressedReduceScatter
    from .outer_step import OuterStep

__all__ = [
    "CompressedMean",
    "CompressedReduceScatter",
    "ErrorFeedback",
    "Exchange",
    "Hook",
    "OuterStep",
    "WorkerError",
    "hook",
]

_MODULE_OF = {
    "CompressedMean": "compressed_mean",
    "CompressedReduceScatter": "fsdp",
    "ErrorFeedback": "error_feedback",
    "Exchange": "collectives",
    "Hook": "ddp",
    "OuterStep": "outer_step",
    "WorkerError": "collectives",
    "hook": "ddp",
}
_MODULES = (*sorted(set(_MODULE_OF.values())), "flower", "array_stream", "vectors")


def __getattr__(name: str) -> Any:
    """The public name or module ``name``, loaded now.

    Raises ImportError naming the extra to install where torch or Flower is missing.
    """
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF, *_MODULES})
