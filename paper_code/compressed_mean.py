"""The mean of the workers' vectors, from compressed messages: equal bytes on every worker."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import bundle, kernels
from .compressor import Compressor
from .error_feedback import ErrorFeedback
from .exchange import Exchange

Array = NDArray[Any]

PIECE = 1 << 20
"""Most coordinates of one message; a longer vector is cut, which bounds the encoder's memory."""


@dataclass
class CompressedMean:
    """mean_i x_i over the workers of ``exchange``, each knowing only its own x_i.

    Two stages: every worker owns a chunk of d / n coordinates. It receives the others' messages of
    it, adds its own part uncompressed, and sends one message of the mean to all. So a worker sends
    2 (n - 1) / n messages of d coordinates in all, fewer than two whatever n is. One stage: every
    worker sends a message of its whole vector to all others, n - 1 messages, and their errors
    average out. ``stages`` None takes one for n <= 2, where it sends no more, else two.

    ``memory``, shape (d,), and ``result_memory``, of the owned chunk, are what error feedback keeps
    (None without it): see ``ErrorFeedback``. Source: two-stage compression with feedback at both,
    Tang et al. 2019, arXiv:1905.05957.
    """

    compressor: Compressor
    exchange: Exchange
    stages: int | None = None
    memory: Array | None = field(default=None, repr=False)
    result_memory: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.stages not in (None, 1, 2):
            raise ValueError(f"stages is {self.stages!r}; allowed are 1, 2 and None")

    def start_feedback(self, d: int, dtype: type[np.floating]) -> None:
        """Begin error feedback with empty memories for vectors of ``d`` coordinates."""
        first, last = self._bounds(d)[self.exchange.rank :][:2]
        self.memory = np.zeros(d, dtype)
        self.result_memory = np.zeros(last - first, dtype)

    def __call__(
        self, x: Array, rng: np.random.Generator | None, name_of: Callable[[int], str] = str
    ) -> Array:
        """The mean of the x of all workers, shape (d,), the same to the last bit on each.

        Raises WorkerError, on every worker alike, if some x holds a value that is not finite
        (``name_of`` names it from its index), if a message was damaged, or if a worker is lost.
        The memories change only when all has gone well.
        """
        one = self.exchange.size <= 2 if self.stages is None else self.stages == 1
        return (self._one_stage if one else self._two_stages)(x, rng, name_of)

    def _one_stage(
        self, x: Array, rng: np.random.Generator | None, name_of: Callable[[int], str]
    ) -> Array:
        n, kept = self.exchange.size, []

        def pack() -> list[bytes]:
            _check_finite(x, name_of)
            data, memory = self._encode(x, self.memory, rng)
            kept.append(memory)
            return [data] * n

        parcels = self.exchange.trade(pack)
        mean = self.exchange.agree(
            lambda: sum(_decode(parcels[i], x.size, x.dtype, i) for i in range(n)) / x.dtype.type(n)
        )
        (self.memory,) = kept
        return mean

    def _two_stages(
        self, x: Array, rng: np.random.Generator | None, name_of: Callable[[int], str]
    ) -> Array:
        rank, n, kept = self.exchange.rank, self.exchange.size, {}
        cuts = self._bounds(x.size)[1:-1]
        chunks, sizes = np.split(x, cuts), [part.size for part in np.split(x, cuts)]
        memories = np.split(self.memory, cuts) if self.memory is not None else [None] * n

        def pack() -> list[bytes]:
            _check_finite(x, name_of)
            parcels, kept["memory"] = [], [None if m is None else m.copy() for m in memories]
            for i in range(n):
                if i == rank:
                    parcels.append(b"")
                    continue
                data, kept["memory"][i] = self._encode(chunks[i], memories[i], rng)
                parcels.append(data)
            return parcels

        def average() -> list[bytes]:
            others = [_decode(parcels[i], sizes[rank], x.dtype, i) for i in range(n) if i != rank]
            mean = sum(others, chunks[rank]) / x.dtype.type(n)
            data, kept["result"] = self._encode(mean, self.result_memory, rng)
            return [data] * n

        parcels = self.exchange.trade(pack)
        results = self.exchange.trade(average)
        parts = self.exchange.agree(
            lambda: [_decode(results[i], sizes[i], x.dtype, i) for i in range(n)]
        )
        if self.memory is not None:
            self.memory, self.result_memory = np.concatenate(kept["memory"]), kept["result"]
        return np.concatenate(parts)

    def _bounds(self, d: int) -> list[int]:
        return [d * i // self.exchange.size for i in range(self.exchange.size + 1)]

    def _encode(
        self, x: Array, memory: Array | None, rng: np.random.Generator | None
    ) -> tuple[bytes, Array | None]:
        """The frames of x, and the memory for the next ones."""
        if memory is None:
            return bundle.to_bytes(_pieces(x), self.compressor, rng), None
        feedback, frames, memories = ErrorFeedback(self.compressor), [b""], [memory[:0]]
        for piece, old in zip(_pieces(x), _pieces(memory), strict=True):
            message, new = feedback.encode(piece, old, rng)
            frames.append(message.to_bytes())
            memories.append(new)
        return b"".join(frames), np.concatenate(memories)


def _pieces(x: Array) -> list[Array]:
    return [x[first : first + PIECE] for first in range(0, x.size, PIECE)]


def _decode(data: bytes, d: int, dtype: np.dtype, sender: int) -> Array:
    try:
        pieces = bundle.from_bytes(data, _pieces(np.empty(d, dtype)), max_dim=PIECE)
    except ValueError as error:
        raise ValueError(f"damaged message from worker {sender}: {error}") from error
    return np.concatenate([np.empty(0, dtype), *pieces])


def _check_finite(x: Array, name_of: Callable[[int], str]) -> None:
    if x.size and not math.isfinite(kernels.peak(x)):
        first = int(np.flatnonzero(~np.isfinite(x))[0])
        raise ValueError(f"{name_of(first)} is {x[first]}; every value must be finite")
