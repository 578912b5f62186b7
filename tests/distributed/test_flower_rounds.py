"""Rounds of Flower's strategies, in which a bad reply is refused and the others are averaged."""

import zlib
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not in the lock: make federated")

from flower_grid import (
    MODEL,
    Arrays,
    LocalGrid,
    answer,
    assert_equal,
    change,
    context,
    numpy,
    record,
    trained,
)
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian, Krum, Strategy

from paper_code import Identity, TopK
from paper_code.distributed.array_stream import to_bytes
from paper_code.distributed.flower import FRAMES, FrameGrid, FrameMod, flatten, restore

VECTOR = flatten(MODEL)[0]
STEPS = to_bytes([MODEL["steps"]], Identity())
COMPRESSOR = TopK(5)


def flip(frames: bytes) -> bytes:
    return frames[:30] + bytes([frames[30] ^ 8]) + frames[31:]


def cut(frames: bytes) -> bytes:
    return frames[:-1]


def lengthen(frames: bytes) -> bytes:
    return frames + STEPS


def leave_out(frames: bytes) -> bytes:
    return frames[: -len(STEPS)]


def reshape(frames: bytes) -> bytes:
    return to_bytes([VECTOR.reshape(1, -1)], Identity()) + STEPS


def grow(frames: bytes) -> bytes:
    return to_bytes([np.append(VECTOR, VECTOR[:1])], Identity()) + STEPS


def overflow(frames: bytes) -> bytes:
    return to_bytes([VECTOR], Identity()) + STEPS  # twice 3e38


def overflow_half(frames: bytes) -> bytes:
    return to_bytes([np.append(0 * VECTOR[:-1], np.float32(1e5))], Identity()) + STEPS


def poison(frames: bytes) -> bytes:
    frame = Identity().encode(VECTOR).to_bytes()[:-8] + np.float32("nan").tobytes()
    return frame + zlib.crc32(frame).to_bytes(4, "little") + STEPS


def fall_silent(frames: bytes) -> bytes:
    raise TimeoutError


def run_out(frames: bytes) -> bytes:
    raise ValueError("out of memory")


REFUSED = {
    flip: "CRC-32 does not match",
    cut: "ends",
    lengthen: "goes on after the 2 arrays",
    leave_out: "ends before array 1",
    reshape: "array 0 is",
    grow: "allowed are 1 to max_dim=17",
    overflow: "array 'large' would not be finite",
    overflow_half: "array 'half' would not be finite",
    poison: "finite",
}


def federation(damage: dict[int, Callable[[bytes], bytes]]) -> FrameGrid:
    """Clients 2, 3 and 4, which have 2, 3 and 4 examples, and some of which do damage."""

    def spoil(message: Message, client: Context, call_next: Callable[..., Message]) -> Message:
        reply = call_next(message, client)
        if client.node_id in damage:
            array = reply.content["arrays"][FRAMES]
            array.data = damage[client.node_id](array.data)
        return reply

    app = ClientApp(mods=[spoil, FrameMod(COMPRESSOR)])

    @app.train()
    def train(message: Message, client: Context) -> Message:
        return answer(trained(client.node_id), client.node_id)(message, client)

    return FrameGrid(LocalGrid(app, [context(node) for node in (2, 3, 4)]))


def one_round(grid: FrameGrid) -> Arrays:
    strategy = FedAvg(fraction_evaluate=0.0)
    return numpy(strategy.start(grid, record(MODEL), num_rounds=1).arrays)


def average(*nodes: int) -> Arrays:
    """FedAvg's, of what these clients send."""
    sent = [VECTOR + COMPRESSOR.encode(change(trained(node))).decode() for node in nodes]
    models = [restore(vector, [MODEL["steps"] + 1], MODEL) for vector in sent]
    shares = [node / sum(nodes) for node in nodes]
    return {
        name: sum(model[name] * share for model, share in zip(models, shares, strict=True))
        for name in MODEL
    }


def test_the_average_is_that_of_the_compressed_clients() -> None:
    grid, result = federation({}), None
    result = one_round(grid)
    for name, array in average(2, 3, 4).items():  # Flower asks them in any order: 3 roundings
        np.testing.assert_allclose(result[name], array, rtol=4 * np.finfo(result[name].dtype).eps)
    frames = [len(COMPRESSOR.encode(change(trained(node))).to_bytes()) for node in (2, 3, 4)]
    assert grid.frame_bytes == sum(frames) + 3 * len(STEPS)
    assert grid.refused == 0


@pytest.mark.parametrize("damage", [*REFUSED, fall_silent, run_out])
def test_the_round_goes_on_without_a_bad_reply(
    damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    grid = federation({3: damage})
    result, expected = one_round(grid), average(2, 4)
    for name, array in result.items():
        np.testing.assert_array_equal(array, expected[name])
    assert grid.refused == (damage in REFUSED)
    said = [line for line in caplog.messages if line.startswith("Refused")]
    assert len(said) == grid.refused
    assert all("node 3:" in line and REFUSED[damage] in line for line in said)


def test_a_client_without_the_mod_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    app = ClientApp()

    @app.train()
    def train(message: Message, client: Context) -> Message:
        return answer(trained(client.node_id))(message, client)

    grid = FrameGrid(LocalGrid(app, [context(2), context(3)]))
    FedAvg(fraction_evaluate=0.0).start(grid, record(MODEL), num_rounds=1)
    assert (grid.refused, grid.frame_bytes) == (2, 0)
    assert "0 arrays of frames came" in caplog.text


@pytest.mark.parametrize("kind", [FedAvg, FedAdam, FedMedian, Krum])
def test_if_all_are_refused_the_model_stays(
    kind: type[Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    grid, models = federation(dict.fromkeys((2, 3, 4), flip)), []
    start = kind(fraction_evaluate=0.0).start
    start(grid, record(MODEL), num_rounds=2, evaluate_fn=lambda _, arrays: models.append(arrays))
    assert grid.refused == 6 and len(models) == 3
    for arrays in models:
        assert_equal(numpy(arrays), MODEL)
    assert caplog.text.count("None of 3 clients sent what can be used") == 2
