"""The server: Flower's FedAvg, which never hears of frames."""

import json
import time
from pathlib import Path

import torch
from digits import accuracy, network
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from paper_code.companion import files
from paper_code.distributed import flower

CONNECT = 180.0  # seconds that clients have to come
app = ServerApp()


def evaluate(_: int, arrays: ArrayRecord) -> MetricRecord:
    """How well the clients' network reads images that none of them has."""
    model = network()
    model.load_state_dict(arrays.to_torch_state_dict())
    return MetricRecord({"accuracy": accuracy(model)})


def wait_for(clients: int, grid: Grid) -> None:
    """Until so many are connected. Raises TimeoutError."""
    deadline = time.monotonic() + CONNECT
    while (came := len(list(grid.get_node_ids()))) < clients:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{came} of {clients} clients came within {CONNECT:g} s")
        time.sleep(0.5)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train when all clients are there, and write what came out to the file that the run names."""
    torch.set_num_threads(1)
    run = context.run_config
    wait_for(run["clients"], grid)
    frame_grid = flower.FrameGrid(grid)
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
    result = strategy.start(
        frame_grid,
        ArrayRecord(network().state_dict()),
        num_rounds=run["rounds"],
        timeout=run["timeout"],
        evaluate_fn=evaluate,
    )
    curve = [round(part["accuracy"], 3) for part in result.evaluate_metrics_serverapp.values()]
    summary = {
        "compressor": run["compressor"],
        "accuracy": curve[-1],
        "frame_bytes": frame_grid.frame_bytes,
        "refused": frame_grid.refused,
        "curve": curve,
    }
    if run["output"]:
        files.atomic_write(Path(run["output"]), json.dumps(summary) + "\n")
