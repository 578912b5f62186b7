"""Error feedback: what a message left out is added to the next one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compressors.contract import Compressor
from ..messages.message import Message, write_frame_parts
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
        out: NDArray[np.floating] | None = None,
        held: NDArray[np.floating] | None = None,
    ) -> tuple[Message, NDArray[np.floating], NDArray[np.floating]]:
        """As ``encode``, with what the message decodes to in between: the memory comes from it.

        The memory for the next message is written to ``out``, what the message decodes to to
        ``held``, new arrays where there are none. With a ``memory``, ``held`` may be x.
        """
        array, dtype = as_array(x)
        self.check(math.prod(array.shape))
        total = np.empty_like(array) if out is None else out
        if memory is None:
            np.copyto(total, array)
        elif memory.shape == array.shape:
            np.add(array, np.asarray(memory), out=total)
        else:
            raise ValueError(f"memory has shape {memory.shape}, but x has {array.shape}")
        if dtype in ("float32", "float64"):
            message, held = self.compressor.encode_and_decode(total, rng, held, leave_rest=True)
            return message, held, total
        # The sum is rounded to the element type of x, and what that loses is remembered too.
        sent = to_kind_of(x, round_to(total, dtype))
        message, held = self.compressor.encode_and_decode(sent, rng, held)
        return message, held, np.subtract(total, held, out=total)

    def check(self, d: int) -> None:
        """Raise ValueError if errors could grow from message to message of ``d`` coordinates."""
        level = self.compressor.guarantee(d).level
        if not level < 1:
            raise ValueError(
                f"{self.compressor} has error {level:g} ||x||^2 at d = {d}; error feedback needs "
                "less than 1"
            )


class Encoded(NamedTuple):
    """The messages of a long vector, what they decode to, and with error feedback the memory."""

    messages: list[Message]
    held: Array
    memory: Array | None

    def to_bytes(self) -> bytearray:
        """The frames of the messages, which can be sent without a copy."""
        return bytearray().join(part for each in self.messages for part in write_frame_parts(each))


def encode_pieces(
    compressor: Compressor,
    x: Array,
    memory: Array | None = None,
    rng: np.random.Generator | None = None,
    threads: int = 1,
    out: Array | None = None,
    held: Array | None = None,
) -> Encoded:
    """Encode a long vector in pieces: with error feedback if there is a ``memory`` of earlier ones.

    The next memory is written to ``out``, what the messages decode to to ``held``, new arrays where
    there are none; with a ``memory``, ``held`` may be x. As many as ``threads`` pieces are encoded
    at a time; the messages do not depend on it.
    """
    parts, feedback = pieces(x), ErrorFeedback(compressor)
    draws = generators(rng, len(parts))
    if held is None and len(parts) > 1:
        held = np.empty_like(x)  # all pieces decode into it, so that none is copied
    places = [None] * len(parts) if held is None else pieces(held)
    work: list[partial[tuple[Any, ...]]]
    if memory is None:
        each = zip(parts, draws, places, strict=True)
        work = [partial(compressor.encode_and_decode, *three) for three in each]
    else:
        if memory.shape != x.shape:
            raise ValueError(f"memory has shape {memory.shape}, but x has {x.shape}")
        out = np.empty_like(x) if out is None else out
        all_of = zip(parts, pieces(memory), draws, pieces(out), places, strict=True)
        work = [partial(feedback.encode_and_decode, *five) for five in all_of]
    done = side_by_side(lambda encode: encode(), work, threads)
    whole = held if held is not None else joined((each[1] for each in done), x.dtype)
    return Encoded([each[0] for each in done], whole, None if memory is None else out)
