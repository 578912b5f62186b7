"""Fewer bytes for federated learning with Flower, in one line on either side.

    app = ClientApp(mods=[paper_code.federated.FrameMod(TrellisCompression(alpha=0.2))])
    strategy.start(paper_code.federated.FrameGrid(grid), initial_arrays)

A client then replies with frames of what its training changed, not with weights. The strategy
sees weights all the same; a client whose frames are damaged it sees as one that failed.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import bundle
from .arrays import PIECE, pieces
from .baselines import Identity
from .compressor import Compressor
from .error_feedback import ErrorFeedback
from .errors import FormatError
from .flattening import Array, flatten, restore

try:
    import flwr.app as flower
except ModuleNotFoundError as error:
    raise ImportError(
        "paper_code.federated needs Flower: pip install 'optimal-gradient-compression[federated]'"
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
    gets fresh entropy. Put it first among the mods: those after it see weights. The metric
    ``frame-bytes`` of the reply counts the bytes of the frames. Raises ValueError for a message or
    a reply without just one record of arrays, for weights of other names, shapes or types than
    came, and for those that are not finite: the server sees a client that failed.
    """

    def __init__(self, compressor: Compressor, error_feedback: bool | None = None) -> None:
        self.compressor = compressor
        self.error_feedback = error_feedback

    def __call__(
        self, message: flower.Message, context: flower.Context, call_next: Answer
    ) -> flower.Message:
        """The reply of ``call_next``, its weights replaced by frames if it was training."""
        if not _is_training(message):
            return call_next(message, context)
        _, received = _only_arrays(message)
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        key, weights = _only_arrays(reply)
        _check(weights, received)
        (after, others), (before, _) = flatten(weights), flatten(received)
        exact = bundle.to_bytes(others, Identity())
        frames = self._pack(after - before, context.state) + exact
        array = flower.Array("uint8", (len(frames),), FRAMES, frames)
        reply.content[key] = flower.ArrayRecord({FRAMES: array})
        for metrics in reply.content.metric_records.values():
            metrics["frame-bytes"] = len(frames)
        return reply

    def _pack(self, change: Array, state: flower.RecordDict) -> bytes:
        """The frames of ``change``; with error feedback the state holds the new memory."""
        if not change.size:
            return b""
        rng = np.random.default_rng() if self.compressor.needs_rng else None
        wanted = self.error_feedback
        if wanted is None:
            wanted = not self.compressor.guarantee(min(change.size, PIECE)).is_unbiased
        if not wanted:
            return bundle.to_bytes(pieces(change), self.compressor, rng)
        old = state[FRAMES][MEMORY].numpy() if FRAMES in state else np.zeros_like(change)
        feedback, frames, memory = ErrorFeedback(self.compressor), [], []
        for piece, left in zip(pieces(change), pieces(old), strict=True):
            message, new = feedback.encode(piece, left, rng)
            frames.append(message.to_bytes())
            memory.append(new)
        state[FRAMES] = flower.ArrayRecord({MEMORY: flower.Array(np.concatenate(memory))})
        return b"".join(frames)


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
        return getattr(self._grid, name)

    def send_and_receive(
        self, messages: Iterable[flower.Message], *, timeout: float | None = None
    ) -> list[flower.Message]:
        """The replies that came within ``timeout`` seconds, with weights in place of frames."""
        messages = list(messages)
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
    a weight would not be finite.
    """
    _, received = _only_arrays(message)
    frames = _frames(reply)
    if len(frames) != 1 or len(reply.content.array_records) != 1:
        raise FormatError(f"{len(frames)} arrays of frames came, not 1: has the client a FrameMod?")
    before, others = flatten(received)
    cut = pieces(before)
    like = [*cut, *others]
    arrays = bundle.from_bytes(frames[0], like, max_dim=max([1, *(x.size for x in like)]))
    with np.errstate(over="ignore"):  # refused in a moment
        after = before + np.concatenate([before[:0], *arrays[: len(cut)]])
    weights = restore(after, arrays[len(cut) :], received)
    if (name := _not_finite(weights)) is not None:
        raise FormatError(f"array {name!r} would not be finite")
    record = {name: flower.Array(array) for name, array in weights.items()}
    reply.content[next(iter(reply.content.array_records))] = flower.ArrayRecord(record)
    return reply


def _frames(reply: flower.Message) -> list[bytes]:
    arrays = [x for record in reply.content.array_records.values() for x in record.values()]
    return [array.data for array in arrays if array.stype == FRAMES]


def _only_arrays(message: flower.Message) -> tuple[str, dict[str, Array]]:
    """The only record of arrays, and what it is called."""
    records = list(message.content.array_records.items())
    if len(records) != 1:
        raise ValueError(f"message has {len(records)} records of arrays; FrameMod needs just 1")
    return records[0][0], {name: array.numpy() for name, array in records[0][1].items()}


def _is_training(message: flower.Message) -> bool:
    return message.metadata.message_type.partition(".")[0] == flower.MessageType.TRAIN


def _check(weights: dict[str, Array], received: dict[str, Array]) -> None:
    kinds, known = ([(n, x.shape, x.dtype) for n, x in a.items()] for a in (weights, received))
    if kinds != known:
        raise ValueError(f"reply has arrays {kinds}, but the message had {known}")
    if (name := _not_finite(weights)) is not None:
        raise ValueError(f"array {name!r} is not finite after training")


def _not_finite(arrays: dict[str, Array]) -> str | None:
    """The name of the first array that holds NaN or an infinity."""
    return next((name for name, x in arrays.items() if not np.isfinite(x).all()), None)
