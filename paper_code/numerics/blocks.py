"""A long vector a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

BLOCK = 1 << 16


def blocks(levels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The levels, a block at a time: what is made of them needs little memory."""
    for start in range(0, levels.size, BLOCK):
        yield levels[start : start + BLOCK]
