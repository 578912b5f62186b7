"""Flower's mod: the reply's weights become frames of the change, and these weights again."""

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not in the lock: make federated")

from flower_grid import (
    MODEL,
    Arrays,
    answer,
    assert_equal,
    change,
    context,
    numpy,
    order,
    record,
    trained,
)
from flwr.app import Error, Message, MetricRecord, RecordDict

from paper_code import Compressor, Identity, RandK, ScaledSign, TopK
from paper_code.distributed import array_stream
from paper_code.distributed.error_feedback import ErrorFeedback
from paper_code.distributed.flower import FRAMES, MEMORY, FrameMod, flatten, restore, unpack
from paper_code.distributed.vectors import PIECE, pieces

MODELS = {
    "all kinds": MODEL,
    "double": {"a": np.ones(3), "b": np.ones((2, 2), np.float32), "flags": np.array([True, False])},
    "big-endian": {"x": np.array([1e300, 1], ">f8"), "steps": np.array([2, 3], ">i8")},
    "counters only": {"steps": np.array([2**53 - 1, 3])},
    "scalar": {"x": np.array(2.0, np.float32)},
    "empty": {},
}


def frames(reply: Message) -> bytes:
    (array,) = reply.content["arrays"].values()
    return array.data


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("compressor", [TopK(1), Identity()])
def test_the_server_gets_what_the_compressed_change_makes_of_its_weights(
    model: Arrays, compressor: Compressor
) -> None:
    message, weights, moved = order(model), trained(0, model), change(trained(0, model), model)
    reply = FrameMod(compressor, error_feedback=False)(message, context(), answer(weights))
    before, counters = flatten(model)
    exact = array_stream.to_bytes(flatten(weights)[1], Identity())
    assert frames(reply) == array_stream.to_bytes([moved], compressor) + exact
    assert reply.content["metrics"] == {"num-examples": 1, "frame-bytes": len(frames(reply))}

    decoded, *counters = array_stream.from_bytes(frames(reply), like=[before, *counters])
    expected = restore(before + decoded, counters, model)
    assert_equal(numpy(unpack(reply, message).content["arrays"]), expected)
    assert_equal(
        {n: x for n, x in expected.items() if x.dtype.kind != "f"},
        {n: x for n, x in weights.items() if x.dtype.kind != "f"},
    )


def test_what_a_message_leaves_out_is_in_the_next_one() -> None:
    mod, client, feedback = FrameMod(TopK(3)), context(), ErrorFeedback(TopK(3))
    memory, sent = np.zeros(17, np.float32), []
    for seed in range(5):
        moved = change(trained(seed))
        message, memory = feedback.encode(moved, memory)
        reply = mod(order(), client, answer(trained(seed)))
        assert frames(reply).startswith(message.to_bytes())
        np.testing.assert_array_equal(client.state[FRAMES][MEMORY].numpy(), memory)
        sent.append(message.decode())
    total = sum(change(trained(seed)) for seed in range(5))
    # 10 sums and differences of numbers below 16, each of which is rounded once.
    np.testing.assert_allclose(sum(sent) + memory, total, atol=10 * 16 * 2**-24)


def test_feedback_is_for_what_is_not_unbiased_unless_it_is_said() -> None:
    kept = {}
    for compressor, feedback in [
        (TopK(1), None),
        (TopK(1), False),
        (RandK(9), None),
        (RandK(9), True),
    ]:
        client = context()
        FrameMod(compressor, feedback)(order(), client, answer(trained(0)))
        kept[compressor, feedback] = FRAMES in client.state
    assert list(kept.values()) == [True, False, False, True]


def test_every_message_draws_anew() -> None:
    mod = FrameMod(RandK(4))
    streams = {frames(mod(order(), context(), answer(trained(0)))) for _ in range(9)}
    assert len(streams) > 1  # chance makes all 9 equal once in C(17, 4)^8 > 10^26 times


def test_a_long_vector_is_cut() -> None:
    model = {"long": np.zeros(PIECE + 5, np.float32)}
    mod, client, message = FrameMod(ScaledSign()), context(), order(model)
    for _ in range(2):
        weights = numpy(
            unpack(mod(message, client, answer(trained(0, model))), message).content["arrays"]
        )
    signs, memory = ScaledSign(), np.zeros(PIECE + 5, np.float32)
    for _ in range(2):
        wanted = trained(0, model)["long"] + memory
        decoded = [signs.encode(part).decode() for part in pieces(wanted)]
        memory = wanted - np.concatenate(decoded)
    np.testing.assert_array_equal(weights["long"], np.concatenate(decoded))


def test_no_piece_of_a_long_vector_is_too_short_for_the_compressor() -> None:
    model = {"long": np.zeros(PIECE + 5, np.float32)}
    message, mod = order(model), FrameMod(TopK(1000), error_feedback=False)
    weights = unpack(mod(message, context(), answer(trained(0, model))), message)
    sent = numpy(weights.content["arrays"])["long"]
    assert [np.count_nonzero(part) for part in pieces(sent)] == [1000, 1000]


@pytest.mark.parametrize(
    ("memory", "dropped"),
    [([0, 1e38, 5], 0), ([0, 3e38, 5], 1), ([0, np.inf, 5], 1), ([0, np.nan, 5], 1), ([5], 1)],
)
def test_a_memory_that_cannot_be_added_is_dropped(
    memory: list[float], dropped: int, caplog: pytest.LogCaptureFixture
) -> None:
    client, change = context(), np.array([1, 2e38, 3], np.float32)
    client.state[FRAMES] = record({MEMORY: np.array(memory, np.float32)})
    message = order({"x": np.zeros(3, np.float32)})
    reply = FrameMod(TopK(1))(message, client, answer({"x": change}))
    wanted = change if dropped else change + np.array(memory, np.float32)
    assert frames(reply) == TopK(1).encode(wanted).to_bytes()
    left = np.where(wanted == wanted.max(), 0, wanted)
    np.testing.assert_array_equal(client.state[FRAMES][MEMORY].numpy(), left)
    assert caplog.text.count("Dropped the memory") == dropped


def test_huge_updates_go_on_round_after_round() -> None:
    mod, client, model = FrameMod(TopK(1)), context(), {"x": np.zeros(3, np.float32)}
    weights = {"x": np.array([3.4e38, 3.3e38, 3.3e38], np.float32)}
    for _ in range(4):
        assert not mod(order(model), client, answer(weights)).has_error()


def test_every_record_of_metrics_counts_the_frames() -> None:
    for names in ([], ["metrics"], ["training", "privacy"]):
        records = {"arrays": record(trained(0)), **{name: MetricRecord() for name in names}}
        client = lambda message, _: Message(RecordDict(records), reply_to=message)  # noqa: B023, E731
        reply = FrameMod(TopK(1))(order(), context(), client)
        counts = [metrics["frame-bytes"] for metrics in reply.content.metric_records.values()]
        assert counts == [len(frames(reply))] * len(names)


@pytest.mark.parametrize("compressor", ["trellis", TopK, None])
def test_what_is_no_compressor_is_refused_at_once(compressor: object) -> None:
    with pytest.raises(TypeError, match=r"compressor is .*; allowed are"):
        FrameMod(compressor)


def test_only_training_is_touched() -> None:
    mod, weights = FrameMod(TopK(1)), trained(0)
    for kind in ("evaluate", "query"):
        reply = mod(order(kind=kind), context(), answer(weights))
        assert_equal(numpy(reply.content["arrays"]), weights)
    assert frames(mod(order(kind="train.again"), context(), answer(weights)))
    failed = mod(order(), context(), lambda message, _: Message(Error(2, "no"), reply_to=message))
    assert failed.error.reason == "no"


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({}, "reply has arrays"),
        ({**MODEL, "bias": np.zeros(3, np.float32)}, "reply has arrays"),
        ({**MODEL, "bias": np.zeros(2)}, "reply has arrays"),
        ({**MODEL, "bias": np.array([0, np.nan], np.float32)}, "'bias' is not finite"),
        ({**MODEL, "steps": np.array(2**54)}, r"integers beyond 2\^53"),
        ({**MODEL, "large": -MODEL["large"]}, "change of weights must be finite"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_forgotten(weights: Arrays, words: str) -> None:
    client = context()
    with pytest.raises(ValueError, match=words):
        FrameMod(TopK(1))(order(), client, answer(weights))
    assert FRAMES not in client.state


def test_one_record_of_arrays_is_needed() -> None:
    arrays = order().content["arrays"]
    message = Message(RecordDict({"a": arrays, "b": arrays}), 2, "train")
    with pytest.raises(ValueError, match="2 records of arrays"):
        FrameMod(TopK(1))(message, context(), answer(MODEL))
