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
        n, kept = self.exchange.size, {}

        def pack() -> list[bytes]:
            _check_finite(x, name_of)
            data, kept["own"], kept["memory"] = self._encode(x, self.memory, rng)
            return [data] * n

        parcels = self.exchange.trade(pack)
        mean = self.exchange.agree(
            lambda: sum(self._decode(parcels, [x] * n, kept["own"])) / x.dtype.type(n)
        )
        self.memory = kept["memory"]
        return mean

    def _two_stages(
        self, x: Array, rng: np.random.Generator | None, name_of: Callable[[int], str]
    ) -> Array:
        rank, n, kept = self.exchange.rank, self.exchange.size, {}
        cuts = self._bounds(x.size)[1:-1]
        chunks = np.split(x, cuts)
        memories = np.split(self.memory, cuts) if self.memory is not None else [None] * n

        def pack() -> list[bytes]:
            _check_finite(x, name_of)
            parcels, kept["memory"] = [b""] * n, [None if m is None else m.copy() for m in memories]
            for i in range(n):
                if i != rank:
                    parcels[i], _, kept["memory"][i] = self._encode(chunks[i], memories[i], rng)
            return parcels

        def average() -> list[bytes]:
            like = [chunks[rank]] * n
            mean = sum(self._decode(parcels, like, chunks[rank])) / x.dtype.type(n)
            data, kept["own"], kept["result"] = self._encode(mean, self.result_memory, rng)
            return [data] * n

        parcels = self.exchange.trade(pack)
        results = self.exchange.trade(average)
        parts = self.exchange.agree(lambda: self._decode(results, chunks, kept["own"]))
        if self.memory is not None:
            self.memory, self.result_memory = np.concatenate(kept["memory"]), kept["result"]
        return np.concatenate(parts)

    def _bounds(self, d: int) -> list[int]:
        return [d * i // self.exchange.size for i in range(self.exchange.size + 1)]

    def _encode(
        self, x: Array, memory: Array | None, rng: np.random.Generator | None
    ) -> tuple[bytes, Array | None, Array | None]:
        """The frames of x; with error feedback, what they decode to and the next memory."""
        if memory is None:
            return bundle.to_bytes(_pieces(x), self.compressor, rng), None, None
        feedback = ErrorFeedback(self.compressor)
        frames, held, memories = [b""], [x[:0]], [memory[:0]]
        for piece, old in zip(_pieces(x), _pieces(memory), strict=True):
            message, values, new = feedback.encode_and_decode(piece, old, rng)
            frames.append(message.to_bytes())
            held.append(values)
            memories.append(new)
        return b"".join(frames), np.concatenate(held), np.concatenate(memories)

    def _decode(self, parcels: list[bytes], like: list[Array], own: Array | None) -> list[Array]:
        """What each worker's parcel says; ours is not decoded again where ``own`` is at hand."""
        return [
            own if i == self.exchange.rank and own is not None else _decode(data, array, i)
            for i, (data, array) in enumerate(zip(parcels, like, strict=True))
        ]


def _pieces(x: Array) -> list[Array]:
    return [x[first : first + PIECE] for first in range(0, x.size, PIECE)]


def _decode(data: bytes, like: Array, sender: int) -> Array:
    try:
        pieces = bundle.from_bytes(data, _pieces(like), max_dim=PIECE)
    except ValueError as error:
        raise ValueError(f"damaged message from worker {sender}: {error}") from error
    return np.concatenate([like[:0], *pieces])


def _check_finite(x: Array, name_of: Callable[[int], str]) -> None:
    if x.size and not math.isfinite(kernels.peak(x)):
        first = int(np.flatnonzero(~np.isfinite(x))[0])
        raise ValueError(f"{name_of(first)} is {x[first]}; every value must be finite")
