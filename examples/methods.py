"""What the training examples share: compressors by name, PyTorch's own hooks, bytes counted."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

import paper_code as pc

Settings = argparse.Namespace
COMPRESSORS: dict[str, Callable[[Settings], pc.Compressor]] = {
    "trellis": lambda s: pc.TrellisCompression(s.alpha, search=s.search),
    "unbiased-trellis": lambda s: pc.TrellisCompression(s.alpha, unbiased=True, search=s.search),
    "convolutional": lambda s: pc.ConvolutionalCompression(s.alpha),
    "entropy-coded-sd": lambda s: pc.EntropyCodedSparseDithering(s.alpha),
    "chunked-sd": lambda s: pc.EntropyCodedSparseDithering(s.alpha, s.chunk),
    "sd": lambda s: pc.SparseDithering(s.alpha, positions="bitmap"),
    "unbiased-sd": lambda s: pc.SparseDithering(s.omega, unbiased=True, positions="bitmap"),
    "subtractive-dithering": lambda s: pc.SubtractiveDithering(s.omega),
    "topk": lambda s: pc.TopK(s.k),
    "chunked-top-k": lambda s: pc.ChunkedTopK(s.chunk_k, s.chunk, s.value_bits),
    "randk": lambda s: pc.RandK(s.k),
    "qsgd": lambda s: pc.RandomDithering(s.levels),
    "natural-dithering": lambda s: pc.NaturalDithering(s.levels),
    "natural": lambda s: pc.NaturalCompression(),
    "ternary": lambda s: pc.Ternary(),
    "scaled-sign": lambda s: pc.ScaledSign(),
    "rotated-sign": lambda s: pc.RotatedSign(),
    "drive": lambda s: pc.Eden(s.bits),
    "eden": lambda s: pc.Eden(s.bits, unbiased=True),
    "int8": lambda s: pc.BlockInt8(),
    "e8": lambda s: pc.E8(s.alpha),
    "identity": lambda s: pc.Identity(),
}
REFERENCES = ("none", "fp16", "powersgd")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The settings of the compressors."""
    parser.add_argument("--alpha", type=float, default=0.6, help="distortion of contractive ones")
    parser.add_argument("--search", default="fast", choices=["fast", "thorough"], help="of trellis")
    parser.add_argument("--omega", type=float, default=0.25, help="variance of unbiased ones")
    parser.add_argument("--k", type=int, default=500, help="coordinates a message keeps")
    parser.add_argument("--chunk", type=int, default=4096, help="coordinates, of chunked-*")
    parser.add_argument("--chunk-k", type=int, default=64, help="coordinates kept of each chunk")
    parser.add_argument("--value-bits", type=int, default=2, help="of each of them")
    parser.add_argument("--levels", type=int, default=4, help="of qsgd and natural dithering")
    parser.add_argument("--bits", type=int, default=2, help="a coordinate, of drive and eden")
    parser.add_argument("--rank", type=int, default=1, help="of powersgd's matrices")


@contextmanager
def counted_all_reduce(sent: list[float]) -> Iterator[None]:
    """Within, ``sent`` receives what a ring all-reduce makes each process send."""
    reduce, n = dist.all_reduce, dist.get_world_size()

    def counted(tensor: torch.Tensor, *rest: object, **options: object) -> object:
        sent.append(2 * (n - 1) / n * tensor.numel() * tensor.element_size())
        return reduce(tensor, *rest, **options)

    with mock.patch.object(dist, "all_reduce", counted):
        yield


def register_reference(model: DistributedDataParallel, name: str, rank: int) -> None:
    """Give the model one of PyTorch's own hooks, float32 for ``none``."""
    if name == "powersgd":
        state = powerSGD_hook.PowerSGDState(None, rank, start_powerSGD_iter=2)
        model.register_comm_hook(state, powerSGD_hook.powerSGD_hook)
    else:
        hook = default_hooks.fp16_compress_hook if name == "fp16" else default_hooks.allreduce_hook
        model.register_comm_hook(None, hook)
