"""Error feedback: what a message left out is added to the next one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compressors.contract import Compressor
from ..messages.message import Message
from ..numerics.float_types import round_to
from ..numerics.tensors import as_array, to_kind_of
from .vectors import Array, generators, joined, pieces, side_by_side


@dataclass(frozen=True)
class ErrorFeedback:
    """Send C(x + memory), and remember x + memory - C(x + memory) for the next message.

    Over many messages nothing is lost: the sum of what was sent is the sum of the x, less the last
    memory. The memory is explicit: a float array of the shape of x (float32, or float64 for a
    float64 x), None for zero; whoever sends keeps it, one for every stream of messages.
    ``compressor`` must shrink its input: alpha < 1, or unbiased with omega < 1.
    Source: Seide et al. 2014 (Interspeech); Karimireddy et al. 2019, arXiv:1901.09847.

    >>> from paper_code import TopK
    >>> feedback, memory = ErrorFeedback(TopK(1)), None
    >>> for _ in range(2):
    ...     message, memory = feedback.encode(np.array([3.0, 2.0]), memory)
    >>> message.decode(), memory  # the second time the 2.0 of twice had its turn
    (array([0., 4.]), array([3., 0.]))
    """

    compressor: Compressor

    def encode(
        self,
        x: Any,
        memory: NDArray[np.floating] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Message, NDArray[np.floating]]:
        """The message, and the memory for the next one.

        Raises ValueError for a memory of another shape, for a compressor that does not shrink, and
        for what ``Compressor.encode`` refuses.
        """
        message, _, memory = self.encode_and_decode(x, memory, rng)
        return message, memory

    def encode_and_decode(
        self,
        x: Any,
        memory: NDArray[np.floating] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Message, NDArray[np.floating], NDArray[np.floating]]:
        """As ``encode``, with what the message decodes to in between: the memory comes from it."""
        array, dtype = as_array(x)
        self.check(math.prod(array.shape))
        if memory is not None:
            if memory.shape != array.shape:
                raise ValueError(f"memory has shape {memory.shape}, but x has {array.shape}")
            array = np.asarray(array + np.asarray(memory))
        # The sum is rounded to the element type of x, and what that loses is remembered too.
        sent = array if dtype in ("float32", "float64") else round_to(array, dtype)
        message, held = self.compressor.encode_and_decode(to_kind_of(x, sent), rng)
        own = None if memory is None else array  # a sum that nobody else holds: no second array
        return message, held, np.asarray(np.subtract(array, held, out=own, dtype=array.dtype))

    def to_bytes(
        self, x: Array, memory: Array, rng: np.random.Generator | None = None, threads: int = 1
    ) -> tuple[bytes, Array, Array]:
        """The frames of a long vector, in pieces; what they decode to, and the next memory.

        As many as ``threads`` pieces are encoded at a time; the bytes do not depend on it.
        """
        if memory.shape != x.shape:
            raise ValueError(f"memory has shape {memory.shape}, but x has {x.shape}")

        def encode(part: tuple[Any, ...]) -> tuple[bytes, Array, Array]:
            message, held, new = self.encode_and_decode(*part)
            return message.to_bytes(), held, new

        parts = pieces(x)
        work = zip(parts, pieces(memory), generators(rng, len(parts)), strict=True)
        done = side_by_side(encode, list(work), threads)
        if len(done) == 1:
            return done[0]
        held = joined((held for _, held, _ in done), x.dtype)
        new = joined((new for _, _, new in done), x.dtype)
        return b"".join(data for data, _, _ in done), held, new

    def check(self, d: int) -> None:
        """Raise ValueError if errors could grow from message to message of ``d`` coordinates."""
        level = self.compressor.guarantee(d).level
        if not level < 1:
            raise ValueError(
                f"{self.compressor} has error {level:g} ||x||^2 at d = {d}; error feedback needs "
                "less than 1"
            )
