"""Fewer bytes for federated learning with Flower, in one line on either side.

    app = ClientApp(mods=[paper_code.distributed.flower.FrameMod(TrellisCompression(alpha=0.2))])
    strategy.start(paper_code.distributed.flower.FrameGrid(grid), initial_arrays)

A client then replies with frames of what its training changed, not with weights. The strategy
sees weights all the same; a client whose frames are damaged it sees as one that failed.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..coding.bits import FormatError
from ..compressors.contract import Compressor
from ..compressors.known import Identity
from . import array_stream
from .error_feedback import encode_pieces
from .vectors import Array, check_threads, first_not_finite, joined, pieces, split

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

Flat = tuple[Array, list[Array]]

FRAMES = "paper_code.frames"  # Flower's kind of an array that is frames, and its name
MEMORY = "memory"  # of error feedback, in the client's state
_log = logging.getLogger("flwr")  # where Flower's own lines go, those that `flwr log` shows


class FrameMod:
    """A mod for ``ClientApp``: training replies with frames of the change, not with weights.

    All floating-point arrays are compressed as one vector; integers and booleans travel exactly.
    ``error_feedback`` None means: unless the compressor is unbiased. The memory is kept in the
    state of the client's ``Context``, and so lasts from round to round; a compressor that draws
    gets fresh entropy. Put it first among the mods: those after it see weights. Every record of
    metrics in the reply gets ``frame-bytes``, the bytes of the frames. Pieces of a long vector are
    encoded by as many as ``threads`` at a time. Raises TypeError for what is no compressor; in a
    round ValueError where message or reply has not just one record of arrays, and for what cannot
    be sent, such as other shapes than came, or NaN: that client failed, then.
    """

    def __init__(
        self, compressor: Compressor, error_feedback: bool | None = None, threads: int = 1
    ) -> None:
        if not isinstance(compressor, Compressor):
            raise TypeError(f"compressor is {compressor!r}; allowed are those such as TopK(100)")
        check_threads(threads)
        self.compressor, self.error_feedback, self.threads = compressor, error_feedback, threads

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
        exact = array_stream.to_bytes(others, Identity())  # first: it may fail, memory as it was
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
            return array_stream.to_bytes(pieces(change), self.compressor, rng, self.threads)
        with np.errstate(over="ignore"):  # by what huge updates leave out: see _memory
            memory = _memory(state, change)
            encoded = encode_pieces(self.compressor, change, memory, rng, self.threads)
        state[FRAMES] = flower.ArrayRecord({MEMORY: flower.Array(encoded.memory)})
        return bytes(encoded.to_bytes())


class FrameGrid:
    """Flower's ``grid``, but that replies to training come as weights, made of clients' frames.

    A reply whose frames ``unpack`` refuses comes as a failed one, with the reason: a strategy
    leaves it out, as it does a client that never answered. ``refused`` counts those,
    ``frame_bytes`` the bytes of all frames that came. Pieces of a long vector are decoded by as
    many as ``threads`` at a time. A strategy that pulls messages itself gets
    them as they are, for ``unpack``.
    """

    def __init__(self, grid: "Grid", threads: int = 1) -> None:
        check_threads(threads)
        self._grid, self._threads = grid, threads
        self.refused = self.frame_bytes = 0

    def __getattr__(self, name: str) -> Any:
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
            return unpack(reply, message, self._threads)
        except FormatError as error:
            self.refused += 1
            _log.warning("Refused the reply of node %d: %s", reply.metadata.src_node_id, error)
            reason = flower.Error(0, f"refused: {error}")  # 0: none of Flower's own errors
            return flower.Message(reason, reply_to=message)


def unpack(reply: flower.Message, message: flower.Message, threads: int = 1) -> flower.Message:
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
    most = max([1, *(x.size for x in like)])
    arrays = array_stream.from_bytes(frames[0], like, most, threads)
    with np.errstate(over="ignore"):  # refused in a moment
        after = before + joined(arrays[: len(cut)], before.dtype)
    weights = restore(after, arrays[len(cut) :], received)
    if (name := not_finite(weights)) is not None:
        raise FormatError(f"array {name!r} would not be finite")
    record = {name: flower.Array(array) for name, array in weights.items()}
    reply.content[_only_record(reply)] = flower.ArrayRecord(record)
    return reply


def flatten(arrays: Mapping[str, Array]) -> Flat:
    """All floats as one vector, float32 unless some are longer, and the other arrays as they are.

    ``{"bias": [1, 1] in float16, "steps": 7}`` gives ``[1, 1]`` in float32 and the list ``[7]``.
    """
    floats = [x for x in arrays.values() if x.dtype.kind == "f"]
    dtype = np.float64 if any(x.dtype.itemsize > 4 for x in floats) else np.float32
    return joined(floats, dtype), [x for x in arrays.values() if x.dtype.kind != "f"]


def flatten_change(after: Mapping[str, Array], before: Mapping[str, Array]) -> Flat:
    """The floats of ``after`` less those of ``before``, and the other arrays of ``after``.

    Raises ValueError where names, shapes or types differ, and for what is not finite.
    """
    kinds, known = ([(n, x.shape, x.dtype) for n, x in a.items()] for a in (after, before))
    if kinds != known:
        raise ValueError(f"reply has arrays {kinds}, but the message had {known}")
    if (name := not_finite(after)) is not None:
        raise ValueError(f"array {name!r} is not finite after training")
    (new, others), (old, _) = flatten(after), flatten(before)
    with np.errstate(over="ignore"):  # refused in a moment
        change = new - old
    if (i := first_not_finite(change)) is not None:
        raise ValueError(f"the change of weights must be finite, but its number {i} is {change[i]}")
    return change, others


def not_finite(arrays: Mapping[str, Array]) -> str | None:
    """The name of the first array that holds NaN or an infinity."""
    return next((name for name, x in arrays.items() if not np.isfinite(x).all()), None)


def restore(vector: Array, others: Sequence[Array], like: Mapping[str, Array]) -> dict[str, Array]:
    """Inverse of ``flatten``: arrays of the names, shapes and types of ``like``.

    What does not fit a narrower type becomes infinite, silently.
    """
    parts = split(vector, {n: old.shape for n, old in like.items() if old.dtype.kind == "f"})
    rest = iter(others)
    with np.errstate(over="ignore"):
        return {  # their byte order too
            name: (parts[name] if name in parts else next(rest)).astype(old.dtype)
            for name, old in like.items()
        }


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
