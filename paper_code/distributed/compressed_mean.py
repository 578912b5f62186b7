"""The mean of the workers' vectors, from compressed messages: equal bytes on every worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..compressors.contract import Compressor
from . import frame_stream, vectors
from .collectives import Exchange
from .error_feedback import ErrorFeedback
from .vectors import PIECE, pieces

if TYPE_CHECKING:
    from .vectors import Vector


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
    memory: Vector | None = field(default=None, repr=False)
    result_memory: Vector | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.stages not in (None, 1, 2):
            raise ValueError(f"stages is {self.stages!r}; allowed are 1, 2 and None")

    def start_feedback(self, x: Vector) -> None:
        """Begin error feedback with empty memories for vectors such as ``x``."""
        self.memory = vectors.zeros_like(x, len(x))
        own = vectors.cut(x, self.exchange.size)[self.exchange.rank]
        self.result_memory = vectors.zeros_like(x, len(own))

    def __call__(
        self, x: Vector, rng: np.random.Generator | None, name_of: Callable[[int], str] = str
    ) -> Vector:
        """The mean of the x of all workers, shape (d,), the same to the last bit on each.

        Raises WorkerError, on every worker alike, if some x holds a value that is not finite
        (``name_of`` names it from its index), if a message was damaged, or if a worker is lost.
        The memories change only when all has gone well.
        """
        one = self.exchange.size <= 2 if self.stages is None else self.stages == 1
        return (self._one_stage if one else self._two_stages)(x, rng, name_of)

    def _one_stage(
        self, x: Vector, rng: np.random.Generator | None, name_of: Callable[[int], str]
    ) -> Vector:
        n, kept = self.exchange.size, {}

        def pack() -> list[bytes]:
            _check(x, name_of)
            data, kept["own"], kept["memory"] = self._encode(x, self.memory, rng)
            return [data] * n

        parcels = self.exchange.trade(pack)
        mean = self.exchange.agree(
            lambda: vectors.mean(self._decode(parcels, [x] * n, kept["own"]))
        )
        self.memory = kept["memory"]
        return mean

    def _two_stages(
        self, x: Vector, rng: np.random.Generator | None, name_of: Callable[[int], str]
    ) -> Vector:
        rank, n, kept = self.exchange.rank, self.exchange.size, {}
        chunks = vectors.cut(x, n)
        memories = [None] * n if self.memory is None else vectors.cut(self.memory, n)

        def pack() -> list[bytes]:
            _check(x, name_of)
            parcels, kept["memory"] = [b""] * n, list(memories)
            for i in range(n):
                if i != rank:
                    parcels[i], _, kept["memory"][i] = self._encode(chunks[i], memories[i], rng)
            return parcels

        def average() -> list[bytes]:
            like = [chunks[rank]] * n
            mean = vectors.mean(self._decode(parcels, like, chunks[rank]))
            data, kept["own"], kept["result"] = self._encode(mean, self.result_memory, rng)
            return [data] * n

        parcels = self.exchange.trade(pack)
        results = self.exchange.trade(average)
        parts = self.exchange.agree(lambda: self._decode(results, chunks, kept["own"]))
        if self.memory is not None:
            self.memory, self.result_memory = vectors.joined(kept["memory"]), kept["result"]
        return vectors.joined(parts)

    def _encode(
        self, x: Vector, memory: Vector | None, rng: np.random.Generator | None
    ) -> tuple[bytes, Vector | None, Vector | None]:
        """The frames of x; with error feedback, what they decode to and the next memory."""
        if memory is None:
            return frame_stream.to_bytes(pieces(x), self.compressor, rng), None, None
        return ErrorFeedback(self.compressor).to_bytes(x, memory, rng)

    def _decode(self, parcels: list[bytes], like: list[Vector], own: Vector | None) -> list[Vector]:
        """What each worker's parcel says; ours is not decoded again where ``own`` is at hand."""
        return [
            own if i == self.exchange.rank and own is not None else _decode(data, array, i)
            for i, (data, array) in enumerate(zip(parcels, like, strict=True))
        ]


def _decode(data: bytes, like: Vector, sender: int) -> Vector:
    try:
        parts = frame_stream.from_bytes(data, pieces(like), max_dim=PIECE)
    except ValueError as error:
        raise ValueError(f"damaged message from worker {sender}: {error}") from error
    return vectors.joined([like[:0], *parts])


def _check(x: Vector, name_of: Callable[[int], str]) -> None:
    vectors.check_kind(x)
    if (first := vectors.first_not_finite(x)) is not None:
        raise ValueError(f"{name_of(first)} is {float(x[first])}; every value must be finite")
