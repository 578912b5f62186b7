"""Flower without a network: a model, clients that change it, and a grid that asks them in turn."""

from collections.abc import Callable, Iterable

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from paper_code.distributed.flower import flatten

Arrays = dict[str, np.ndarray]

SERVER = 1
MODEL = {
    "weight": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "steps": np.array(7),
    "none": np.zeros((0, 2), np.float32),
    "bias": np.array([0.5, -0.25], np.float32),
    "large": np.array([3e38], np.float32),
    "half": np.array([1, 2], np.float16),
}


def trained(seed: int, model: Arrays = MODEL) -> Arrays:
    """What a client makes of the model: other floats, and every counter one higher."""
    rng = np.random.default_rng(seed)
    added = {name: rng.standard_normal(x.shape).astype(x.dtype) for name, x in model.items()}
    return {
        name: (x + (added[name] if x.dtype.kind == "f" else 1)).astype(x.dtype)
        for name, x in model.items()
    }


def change(weights: Arrays, model: Arrays = MODEL) -> np.ndarray:
    """Of all floating-point numbers, as a vector."""
    return flatten(weights)[0] - flatten(model)[0]


def record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


def numpy(arrays: ArrayRecord) -> Arrays:
    return {name: array.numpy() for name, array in arrays.items()}


def assert_equal(left: Arrays, right: Arrays) -> None:
    assert list(left) == list(right)
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name], strict=True)


def order(model: Arrays = MODEL, kind: str = "train") -> Message:
    """What the server sends to a client."""
    return Message(RecordDict({"arrays": record(model)}), 2, kind)


def answer(weights: Arrays, examples: int = 1) -> Callable[..., Message]:
    """A client that replies with these weights."""
    metrics = MetricRecord({"num-examples": examples})
    records = RecordDict({"arrays": record(weights), "metrics": metrics})
    return lambda message, _: Message(records, reply_to=message)


def context(node: int = 2, partition: int = 0, n: int = 1, **run: bool | float | str) -> Context:
    config = {"partition-id": partition, "num-partitions": n}
    return Context(run_id=1, node_id=node, node_config=config, state=RecordDict(), run_config=run)


class LocalGrid:
    """As Flower's: a client that raises gives an error reply, one that is silent gives none."""

    def __init__(self, app: ClientApp, contexts: Iterable[Context]) -> None:
        self.app = app
        self.contexts = {each.node_id: each for each in contexts}
        self.sent = 0

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        replies = [self._answer(message) for message in messages]
        return [reply for reply in replies if reply is not None]

    def _answer(self, message: Message) -> Message | None:
        self.sent += 1  # Flower's grids set what follows in the same way
        message.metadata.__dict__.update(_message_id=str(self.sent), _src_node_id=SERVER)
        try:
            return self.app(message, self.contexts[message.metadata.dst_node_id])
        except TimeoutError:
            return None
        except ValueError as error:
            return Message(Error(2, str(error)), reply_to=message)
