"""The mean of the workers' vectors, from compressed messages: equal bytes on every worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from ..compressors.contract import Compressor
from . import array_stream
from .collectives import Exchange
from .error_feedback import encode_pieces
from .vectors import PIECE, Array, check_threads, cut, first_not_finite, joined, mean, pieces

Trade = Callable[[Callable[[], list[bytes]]], list[bytes]]


class Memory(NamedTuple):
    """What error feedback keeps: of the worker's own vector, and of the mean of its chunk."""

    own: Array
    result: Array


@dataclass(frozen=True)
class CompressedMean:
    """mean_i x_i over the workers of ``exchange``, each knowing only its own x_i.

    Two stages: every worker owns a chunk of d / n coordinates. It receives the others' messages of
    it, adds its own part uncompressed, and sends one message of the mean to all. So a worker sends
    2 (n - 1) / n messages of d coordinates in all, fewer than two whatever n is. One stage: every
    worker sends a message of its whole vector to all others, n - 1 messages, and their errors
    average out. ``stages`` None takes one for n <= 2, where it sends no more, else two. Pieces of
    long vectors are encoded and decoded by as many as ``threads`` at a time.
    Source: two-stage compression with feedback at both, Tang et al. 2019, arXiv:1905.05957.
    """

    compressor: Compressor
    exchange: Exchange
    stages: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.stages not in (None, 1, 2):
            raise ValueError(f"stages is {self.stages!r}; allowed are 1, 2 and None")
        check_threads(self.threads)

    @property
    def stages_taken(self) -> int:
        """1 or 2."""
        return self.stages or (1 if self.exchange.size <= 2 else 2)

    def empty_memory(self, x: Array) -> Memory:
        """The memory with which error feedback begins for vectors such as ``x``."""
        chunk = cut(x, self.exchange.size)[self.exchange.rank]
        return Memory(np.zeros_like(x), np.zeros_like(chunk))

    def __call__(
        self,
        x: Array,
        memory: Memory | None = None,
        rng: np.random.Generator | None = None,
        name_of: Callable[[int], str] = "x[{}]".format,
        label: int = 0,
    ) -> tuple[Array, Memory | None]:
        """The mean of the x of all workers, shape (d,), the same bits on each; the next memory.

        Without ``memory`` there is no error feedback. Raises WorkerError, on every worker alike, if
        some x holds a value that is not finite (``name_of`` names it from its index), if a message
        was damaged, if a worker is lost, or if ``label``, which travels along, differs. ``memory``
        itself is never changed: who meets an error goes on with the one it had.
        """
        return self.exchange.agree(lambda: self.unconfirmed(x, memory, rng, name_of, label), label)

    def unconfirmed(
        self,
        x: Array,
        memory: Memory | None = None,
        rng: np.random.Generator | None = None,
        name_of: Callable[[int], str] = "x[{}]".format,
        label: int = 0,
        channel: int = 0,
        spare: Memory | None = None,
        out: Array | None = None,
    ) -> tuple[Array, Memory | None]:
        """As a call, over a channel of ``exchange``, and a round of messages less.

        WorkerError is raised on every worker alike; any other error, such as a damaged message in
        the last round, on this one alone: let the others know of it by ``exchange.agree``. The next
        memory is written to ``spare``, neither x nor ``memory``: to allocate one costs more. The
        mean is in ``out``, where given, which may be x.
        """
        n, trade = self.exchange.size, self._trade(x, name_of, label, channel)
        if memory and not spare:
            spare = Memory(*map(np.empty_like, memory))
        old, new = memory or (None, None), spare or (None, None)
        if self.stages_taken == 1:
            alone = out if n == 1 and memory else None  # what is sent is the sum with the memory
            vectors = self._send_to_all(lambda: x, [x] * n, old[0], rng, trade, new[0], alone)
            whole, spare = mean(vectors, out), memory and spare and Memory(spare.own, memory.result)
        else:
            chunk_mean = self._send_chunks(x, old[0], rng, trade, new[0])
            parts = self._send_to_all(chunk_mean, cut(x, n), old[1], rng, trade, new[1])
            whole = joined(parts, x.dtype)
        if out is not None and whole is not out:
            out[:] = whole
        return whole if out is None else out, memory and spare

    def of_own_chunk(
        self,
        x: Array,
        memory: Array | None = None,
        rng: np.random.Generator | None = None,
        label: int = 0,
    ) -> tuple[Array, Array | None]:
        """This worker's chunk of the mean, as the first stage leaves it, and the next memory.

        ``memory`` has the shape of x. Raises WorkerError as a call does.
        """
        trade = self._trade(x, "x[{}]".format, label)
        new = None if memory is None else np.empty_like(memory)
        chunk = self.exchange.agree(lambda: self._send_chunks(x, memory, rng, trade, new)(), label)
        return chunk, new

    def _trade(
        self, x: Array, name_of: Callable[[int], str], label: int, channel: int = 0
    ) -> Trade:
        def trade(pack: Callable[[], list[bytes]]) -> list[bytes]:
            named = partial(_naming_what_is_not_finite, x, name_of, pack)
            return self.exchange.trade(named, label, channel)

        return trade

    def _send_chunks(
        self,
        x: Array,
        memory: Array | None,
        rng: np.random.Generator | None,
        trade: Trade,
        new: Array | None,
    ) -> Callable[[], Array]:
        """What decodes the others' messages of this worker's chunk and averages.

        The own part of the chunk is in the mean as it is. ``new`` becomes the next memory.
        """
        own, n = self.exchange.rank, self.exchange.size
        chunks = cut(x, n)

        def message_to(i: int) -> bytes:
            if memory is None or new is None:
                parts = pieces(chunks[i])
                return array_stream.to_bytes(parts, self.compressor, rng, self.threads)
            part, old, out = (cut(vector, n)[i] for vector in (x, memory, new))
            return encode_pieces(self.compressor, part, old, rng, self.threads, out).to_bytes()

        parcels = trade(lambda: [b"" if i == own else message_to(i) for i in range(n)])
        if memory is not None and new is not None:
            cut(new, n)[own][:] = cut(memory, n)[own]

        def chunk_mean() -> Array:
            return mean(
                [
                    chunks[own] if i == own else self._decode(data, chunks[own], i)
                    for i, data in enumerate(parcels)
                ]
            )

        return chunk_mean

    def _send_to_all(
        self,
        vector: Callable[[], Array],
        like: Sequence[Array],
        memory: Array | None,
        rng: np.random.Generator | None,
        trade: Trade,
        new: Array | None,
        place: Array | None = None,
    ) -> list[Array]:
        """What the messages of the workers' vectors decode to, ``like`` those.

        The own message is not decoded, for its encoder knows; alone, there is nobody to send it to.
        ``new`` becomes the next memory, and ``place`` what the own message decodes to.
        """
        own, n = self.exchange.rank, self.exchange.size
        held: list[Array] = []

        def pack() -> list[bytes]:
            x = vector()
            encoded = encode_pieces(self.compressor, x, memory, rng, self.threads, new, place)
            held.append(encoded.held)
            return [encoded.to_bytes() if n > 1 else b""] * n

        return [
            held[0] if i == own else self._decode(data, like[i], i)
            for i, data in enumerate(trade(pack))
        ]

    def _decode(self, data: bytes, like: Array, sender: int) -> Array:
        try:
            parts = array_stream.from_bytes(data, pieces(like), PIECE, self.threads)
        except ValueError as error:
            raise ValueError(f"damaged message from worker {sender}: {error}") from error
        return joined(parts, like.dtype)


def _naming_what_is_not_finite(
    x: Array, name_of: Callable[[int], str], pack: Callable[[], list[bytes]]
) -> list[bytes]:
    """``pack()``; where it fails because x is not finite, which compressors look for, say where."""
    if not isinstance(x, np.ndarray) or x.ndim != 1 or x.dtype not in (np.float32, np.float64):
        raise TypeError(f"x is {x!r:.60}; allowed are vectors of float32 and float64")
    try:
        return pack()
    except ValueError as error:
        if (first := first_not_finite(x)) is None:
            raise
        what = f"{name_of(first)} is {float(x[first])}; every value must be finite"
        raise ValueError(what) from error
