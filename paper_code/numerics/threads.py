"""Several threads for one message: its chunks side by side. They never change its bytes."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, TypeVar

from numpy.typing import NDArray

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 1 << 19
"""Fewest coordinates of a chunk: handing fewer to another thread costs more than the work."""

_WHOLE = 1 << 12  # what its length is a multiple of, so that words and trees of norms are whole
MOST = 1024
_count = 1


def set_threads(count: int) -> None:
    """Let encoding and decoding use ``count`` threads from now on; in the beginning it is 1.

    Frames are the same for every number. Of one message, rounding to levels, bit codes and norms
    are shared out; entropy coders, selection and random numbers stay in order, on one thread.
    Raises TypeError for what is no integer, ValueError for less than 1 and more than 1024.

    >>> set_threads(2)
    >>> get_threads()
    2
    >>> set_threads(1)
    """
    global _count
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise TypeError(f"count is {count!r}; allowed are integers from 1 to {MOST}")
    if not 1 <= count <= MOST:
        raise ValueError(f"count is {count}; allowed are integers from 1 to {MOST}")
    _count = operator.index(count)


def get_threads() -> int:
    """How many threads encoding and decoding may use."""
    return _count


def alone(size: int) -> bool:
    """Whether one thread does it all. Asked first: short messages cost microseconds."""
    return _count == 1 or size < 2 * CHUNK


def chunks(size: int) -> list[slice]:
    """A vector of ``size`` coordinates in as many chunks as there are threads, or fewer."""
    if alone(size):
        return [slice(0, size)]
    count = min(_count, size // CHUNK)
    step = -(-size // (count * _WHOLE)) * _WHOLE
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def each(work: Callable[..., Result], *arrays: NDArray[Any]) -> list[Result]:
    """``work(*arrays)`` for the same chunk of every array, side by side; the results in order."""
    size = arrays[0].size
    if alone(size):
        return [work(*arrays)]
    return share_out(lambda part: work(*(array[part] for array in arrays)), chunks(size))


def share_out(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``work(item)`` for every item, side by side; the results in order.

    The first is done here: waking another thread for it would take as long as many a loop.
    """
    if len(items) == 1:
        return [work(items[0])]
    try:
        others = [_pool(_count, os.getpid()).submit(work, item) for item in items[1:]]
    except RuntimeError:  # the interpreter is ending, and starts no threads any more
        return [work(item) for item in items]
    try:
        first = work(items[0])
    finally:
        wait(others)  # they read and write arrays of the caller
    return [first, *(other.result() for other in others)]


@lru_cache(maxsize=1)
def _pool(count: int, process: int) -> ThreadPoolExecutor:
    """The threads; a forked process has none of its parent's, and starts its own."""
    return ThreadPoolExecutor(count, f"paper_code-{process}")
