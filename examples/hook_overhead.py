"""What the hook costs when there is nobody to send to: its share of a training step.

    python examples/hook_overhead.py --batch 32 256 2048

One process, one thread, a network of a million parameters; processor time, so that other work on
the machine counts little. A step is: forward, backward with the hook, update.
"""

import argparse
import itertools
import tempfile
import time

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import paper_code as pc
from paper_code.distributed import ddp

COMPRESSORS = {
    "none": None,
    "identity": pc.Identity(),
    "SD, nu = 0.1, bitmap": pc.SparseDithering(0.1, positions="bitmap"),
    "entropy-coded SD, alpha = 0.2": pc.EntropyCodedSparseDithering(0.2),
    "trellis, alpha = 0.2, fast": pc.TrellisCompression(0.2, search="fast"),
}
WIDTHS = (512, 1024, 400, 100)


def seconds_a_step(compressor: pc.Compressor | None, batch: int, steps: int) -> float:
    """The median over the steps after the first two, which set buckets and memories up."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(*pair) for pair in itertools.pairwise(WIDTHS)]
    plain = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    model = DistributedDataParallel(plain)
    if compressor:
        model.register_comm_hook(plain, ddp.hook(compressor))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    seconds = []
    for _ in range(steps + 2):
        x, labels = torch.randn(batch, WIDTHS[0]), torch.randint(WIDTHS[-1], (batch,))
        started = time.process_time()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimiser.step()
        seconds.append(time.process_time() - started)
    return float(np.median(seconds[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256, 2048])
    parser.add_argument("--steps", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", f"file://{folder}/meet", rank=0, world_size=1)
        for batch in options.batch:
            plain = seconds_a_step(None, batch, options.steps)
            print(f"batch {batch}: {1e3 * plain:.1f} ms a step without a hook")
            for name, compressor in COMPRESSORS.items():
                if compressor:
                    whole = seconds_a_step(compressor, batch, options.steps)
                    more = whole - plain
                    print(
                        f"  {name:30s} {1e3 * more:6.1f} ms more, {more / whole:4.0%} of the step"
                    )
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
