"""The server's side of Flower: what it sends, and which model is left when rounds fail."""

import copy

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not in the lock: make federated")

from flower_grid import MODEL, LocalGrid, context, numpy, order, record
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from paper_code import Identity
from paper_code.distributed.flower import FrameGrid, FrameMod


@pytest.mark.parametrize("n", [0, 2])
def test_an_order_without_one_record_of_arrays_is_not_sent(n: int) -> None:
    grid = FrameGrid(LocalGrid(ClientApp(), [context(3)]))
    odd = Message(RecordDict({str(i): record(MODEL) for i in range(n)}), 3, "train")
    with pytest.raises(ValueError, match=f"message has {n} records of arrays"):
        grid.send_and_receive([order(), odd])
    assert grid.sent == 0
    question = Message(RecordDict({}), 3, "query")
    assert len(grid.send_and_receive([question])) == 1  # only training has to do with frames


def test_a_grid_can_be_copied() -> None:
    grid = FrameGrid(LocalGrid(ClientApp(), []))
    grid.refused = 3
    for other in (copy.copy(grid), copy.deepcopy(grid)):
        assert (other.refused, other.get_node_ids()) == (3, [])
    with pytest.raises(AttributeError, match="no attribute '_other'"):
        grid._other  # noqa: B018


@pytest.mark.parametrize("good", [{1, 2, 3}, {1, 3}, {1}, {3}, set()])
def test_the_result_is_that_of_the_last_round_that_somebody_answered(good: set[int]) -> None:
    app, models = ClientApp(mods=[FrameMod(Identity())]), []

    @app.train()
    def train(message: Message, _: Context) -> Message:
        number = message.content["config"]["server-round"]
        if number not in good:
            raise ValueError("out of memory")
        weights = record({"x": np.array([number], np.float32)})
        records = {"arrays": weights, "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(records), reply_to=message)

    def note(_: int, arrays: ArrayRecord) -> None:
        models.append(numpy(arrays)["x"].item())

    grid = FrameGrid(LocalGrid(app, [context(2), context(3)]))
    start = record({"x": np.zeros(1, np.float32)})
    strategy = FedAvg(fraction_evaluate=0.0)
    result = strategy.start(grid, start, num_rounds=3, evaluate_fn=note)
    assert models == [max([n for n in good if n <= number], default=0) for number in range(4)]
    # Flower's result is empty, not the model that it began with, if no round went well
    assert [x.item() for x in numpy(result.arrays).values()] == sorted(good)[-1:]
