"""A client: trains on its own images, and replies with frames."""

import os
import signal

import torch
from digits import images, network, train
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

import paper_code as pc
from paper_code.distributed import flower

COMPRESSORS = {
    "trellis": pc.TrellisCompression,
    "sd": pc.SparseDithering,
    "identity": lambda alpha: pc.Identity(),
}


def send_frames(message: Message, context: Context, call_next: flower.Answer) -> Message:
    """The mod, with the compressor that the run names."""
    compressor = COMPRESSORS[context.run_config["compressor"]](context.run_config["alpha"])
    return flower.FrameMod(compressor)(message, context, call_next)


def fail(message: Message, context: Context, call_next: flower.Answer) -> Message:
    """Two clients that the run may name: one damages its frames, one dies in the last round."""
    run, client = context.run_config, context.node_config["partition-id"]
    if client == run["killed"] and message.content["config"]["server-round"] == run["rounds"]:
        os.killpg(0, signal.SIGKILL)  # Flower's part of it too, and nothing says goodbye
    reply = call_next(message, context)
    if client == run["damaged"]:
        array = reply.content["arrays"][flower.FRAMES]
        array.data = array.data[:99] + bytes([array.data[99] ^ 1]) + array.data[100:]
    return reply


app = ClientApp(mods=[fail, send_frames])


@app.train()
def reply(message: Message, context: Context) -> Message:
    """Train the network that came on this client's share of the images."""
    torch.set_num_threads(1)
    rank, n = (context.node_config[key] for key in ("partition-id", "num-partitions"))
    pixels, labels = (part[rank::n] for part in images()[0])
    model = network()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    seed = [rank, message.content["config"]["server-round"]]
    train(model, (pixels, labels), context.run_config["epochs"], seed)
    metrics = MetricRecord({"num-examples": len(labels)})
    records = {"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}
    return Message(RecordDict(records), reply_to=message)
