"""Fewer bytes for federated learning with Flower, in one line on either side.

    app = ClientApp(mods=[paper_code.distributed.flower.FrameMod(TrellisCompression(alpha=0.2))])
    strategy.start(paper_code.distributed.flower.FrameGrid(grid), initial_arrays)

A client then replies with frames of what its training changed, not with weights. The strategy
sees weights all the same; a client whose frames are damaged it sees as one that failed.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..coding.bits import FormatError
from ..compressors.contract import Compressor
from ..compressors.known import Identity
from . import frame_stream
from .error_feedback import ErrorFeedback
from .flattening import Array, flatten, flatten_change, not_finite, restore
from .vectors import first_not_finite, pieces

try:
    import flwr.app as flower
except ModuleNotFoundError as error:
    raise ImportError(
        "paper_code.distributed.flower needs Flower: "
        "pip install 'optimal-gradient-compression[federated]'"
    ) from error

if TYPE_CHECKING:
    from flwr.serverapp import Grid

Answer = Callable[[flower.Message, flower.Context], flower.Message]

FRAMES = "paper_code.frames"  # Flower's kind of an array that is frames, and its name
MEMORY = "memory"  # of error feedback, in the client's state
_log = logging.getLogger("flwr")  # where Flower's own lines go, those that `flwr log` shows


class FrameMod:
    """A mod for ``ClientApp``: training replies with frames of the change, not with weights.

    All floating-point arrays are compressed as one vector; integers and booleans travel exactly.
    ``error_feedback`` None means: unless the compressor is unbiased. The memory is kept in the
    state of the client's ``Context``, and so lasts from round to round; a compressor that draws
    gets fresh entropy. Put it first among the mods: those after it see weights. Every record of
    metrics in the reply gets ``frame-bytes``, the bytes of the frames. Raises TypeError for what is
    no compressor; in a round ValueError where message or reply has not just one record of arrays,
    and for what cannot be sent, such as other shapes than came, or NaN: that client failed, then.
    """

    def __init__(self, compressor: Compressor, error_feedback: bool | None = None) -> None:
        if not isinstance(compressor, Compressor):
            raise TypeError(f"compressor is {compressor!r}; allowed are those such as TopK(100)")
        self.compressor = compressor
        self.error_feedback = error_feedback

    def __call__(
        self, message: flower.Message, context: flower.Context, call_next: Answer
    ) -> flower.Message:
        """The reply of ``call_next``, its weights replaced by frames if it was training."""
        if not _is_training(message):
            return call_next(message, context)
        received = _arrays(message)
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        change, others = flatten_change(_arrays(reply), received)
        exact = frame_stream.to_bytes(
            others, Identity()
        )  # first: if it fails, the memory is as it was
        frames = self._pack(change, context.state) + exact
        array = flower.Array("uint8", (len(frames),), FRAMES, frames)
        reply.content[_only_record(reply)] = flower.ArrayRecord({FRAMES: array})
        for metrics in reply.content.metric_records.values():
            metrics["frame-bytes"] = len(frames)
        return reply

    def _pack(self, change: Array, state: flower.RecordDict) -> bytes:
        """The frames of ``change``; with error feedback the state holds the new memory."""
        if not change.size:
            return b""
        rng = np.random.default_rng() if self.compressor.needs_rng else None
        unbiased = self.compressor.guarantee(len(pieces(change)[0])).is_unbiased
        wanted = not unbiased if self.error_feedback is None else self.error_feedback
        if not wanted:
            return frame_stream.to_bytes(pieces(change), self.compressor, rng)
        with np.errstate(over="ignore"):  # by what huge updates leave out: see _memory
            frames, _, memory = ErrorFeedback(self.compressor).to_bytes(
                change, _memory(state, change), rng
            )
        state[FRAMES] = flower.ArrayRecord({MEMORY: flower.Array(memory)})
        return frames


class FrameGrid:
    """Flower's ``grid``, but that replies to training come as weights, made of clients' frames.

    A reply whose frames ``unpack`` refuses comes as a failed one, with the reason: a strategy
    leaves it out, as it does a client that never answered. ``refused`` counts those,
    ``frame_bytes`` the bytes of all frames that came. A strategy that pulls messages itself gets
    them as they are, for ``unpack``.
    """

    def __init__(self, grid: "Grid") -> None:
        self._grid = grid
        self.refused = 0
        self.frame_bytes = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else Flower's grid has
        if name.startswith("_"):  # copy and pickle ask for such before there is a grid
            raise AttributeError(f"FrameGrid has no attribute {name!r}")
        return getattr(self._grid, name)

    def send_and_receive(
        self, messages: Iterable[flower.Message], *, timeout: float | None = None
    ) -> list[flower.Message]:
        """The replies that came within ``timeout`` seconds, with weights in place of frames.

        Raises ValueError, before any is sent, if one to train has not just one record of arrays.
        """
        messages = list(messages)
        for message in filter(_is_training, messages):
            _only_record(message)
        replies = self._grid.send_and_receive(messages, timeout=timeout)
        sent = {message.metadata.message_id: message for message in messages}
        ready = [self._open(reply, sent[reply.metadata.reply_to_message_id]) for reply in replies]
        if messages and all(reply.has_error() for reply in ready):
            _log.warning("None of %d clients sent what can be used", len(messages))
        return ready

    def _open(self, reply: flower.Message, message: flower.Message) -> flower.Message:
        if reply.has_error() or not _is_training(message):
            return reply
        self.frame_bytes += sum(map(len, _frames(reply)))
        try:
            return unpack(reply, message)
        except FormatError as error:
            self.refused += 1
            _log.warning("Refused the reply of node %d: %s", reply.metadata.src_node_id, error)
            reason = flower.Error(0, f"refused: {error}")  # 0: none of Flower's own errors
            return flower.Message(reason, reply_to=message)


def unpack(reply: flower.Message, message: flower.Message) -> flower.Message:
    """``reply`` with the weights that its frames make of those that went out in ``message``.

    Raises FormatError if it does not hold frames of just these arrays, whole and undamaged, or if
    a weight would not be finite; ValueError if ``message`` has not just one record of arrays.
    """
    received = _arrays(message)
    frames = _frames(reply)
    if len(frames) != 1 or len(reply.content.array_records) != 1:
        raise FormatError(f"{len(frames)} arrays of frames came, not 1: has the client a FrameMod?")
    before, others = flatten(received)
    cut = pieces(before)
    like = [*cut, *others]
    arrays = frame_stream.from_bytes(frames[0], like, max_dim=max([1, *(x.size for x in like)]))
    with np.errstate(over="ignore"):  # refused in a moment
        after = before + np.concatenate([before[:0], *arrays[: len(cut)]])
    weights = restore(after, arrays[len(cut) :], received)
    if (name := not_finite(weights)) is not None:
        raise FormatError(f"array {name!r} would not be finite")
    record = {name: flower.Array(array) for name, array in weights.items()}
    reply.content[_only_record(reply)] = flower.ArrayRecord(record)
    return reply


def _frames(reply: flower.Message) -> list[bytes]:
    arrays = [x for record in reply.content.array_records.values() for x in record.values()]
    return [array.data for array in arrays if array.stype == FRAMES]


def _only_record(message: flower.Message) -> str:
    """What the only record of arrays is called."""
    names = list(message.content.array_records)
    if len(names) != 1:
        raise ValueError(f"message has {len(names)} records of arrays; frames need just 1")
    return names[0]


def _arrays(message: flower.Message) -> dict[str, Array]:
    record = message.content.array_records[_only_record(message)]
    return {name: array.numpy() for name, array in record.items()}


def _memory(state: flower.RecordDict, change: Array) -> Array:
    """The memory in ``state``, but an empty one if that cannot be added to ``change``."""
    memory = state[FRAMES][MEMORY].numpy() if FRAMES in state else np.zeros_like(change)
    with np.errstate(over="ignore", invalid="ignore"):
        if memory.shape == change.shape and first_not_finite(change + memory) is None:
            return memory
    _log.warning("Dropped the memory of error feedback: of another size, or too large to be added")
    return np.zeros_like(change)


def _is_training(message: flower.Message) -> bool:
    return message.metadata.message_type.partition(".")[0] == flower.MessageType.TRAIN
