"""What one can install instead: each peer as it is used, one thread, on vectors of unit power.

Not hivemind 1.1.12, whose decoder takes int() of an array, which NumPy 2.4 refuses.
``available`` imports what is there and says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .schemes import Scheme, Vector

REFERENCE = "15 lines: rint and ANS, 2 bits"
_ROW = 1024  # coordinates that faiss rotates or quantises together


def fifteen_lines(step: float, name: str) -> Scheme:
    """Round to multiples of a step, count, entropy-code: what an engineer writes in an hour."""
    from constriction import stream

    def model(counts: NDArray[np.int64]) -> object:
        return stream.model.Categorical(counts / counts.sum(), perfect=False)

    def encode(x: Vector) -> tuple[Any, ...]:
        levels = np.rint(x * np.float32(1 / step)).astype(np.int32)
        lowest = int(levels.min())
        levels -= lowest
        counts = np.bincount(levels, minlength=2)
        coder = stream.stack.AnsCoder()
        coder.encode_reverse(levels, model(counts))
        return coder.get_compressed(), counts, lowest, x.size

    def decode(packet: tuple[Any, ...]) -> Vector:
        words, counts, lowest, d = packet
        levels = stream.stack.AnsCoder(words).decode(model(counts), d)
        values = levels.astype(np.float32)
        values += lowest
        values *= np.float32(step)
        return values

    def bits(packet: tuple[Any, ...]) -> int:
        return 32 * (packet[0].size + packet[1].size + 3)  # counts in 32 bits; lowest, d, step

    return Scheme(name, "peer", encode, decode, bits)


def faiss_codec(factory: str) -> Scheme:
    """A codec of faiss on rows of 1024 coordinates, the last filled up with zeros."""
    import faiss

    faiss.omp_set_num_threads(1)
    codec = faiss.index_factory(_ROW, factory)
    codec.train(np.random.default_rng(0).standard_normal((2 * _ROW, _ROW), dtype=np.float32))

    def encode(x: Vector) -> tuple[NDArray[np.uint8], int]:
        return codec.sa_encode(_rows(x)), x.size

    def decode(packet: tuple[NDArray[np.uint8], int]) -> Vector:
        return codec.sa_decode(packet[0]).reshape(-1)[: packet[1]]

    unbiased = factory == "HR,EDEN1"  # the others are scaled to the least error
    name = f"faiss {factory}"
    return Scheme(
        name, "peer", encode, decode, lambda packet: 8 * packet[0].size, unbiased=unbiased
    )


def faiss_minmax() -> Scheme:
    """faiss' 8-bit scalar quantiser between the least and the largest value of the vector."""
    import faiss

    faiss.omp_set_num_threads(1)

    def encode(x: Vector) -> tuple[Any, NDArray[np.uint8], int]:
        rows = _rows(x)
        codec = faiss.ScalarQuantizer(_ROW, faiss.ScalarQuantizer.QT_8bit_uniform)
        codec.train(rows)
        return codec, codec.compute_codes(rows), x.size

    def decode(packet: tuple[Any, NDArray[np.uint8], int]) -> Vector:
        return packet[0].decode(packet[1]).reshape(-1)[: packet[2]]

    return Scheme("faiss SQ8", "peer", encode, decode, lambda packet: 8 * packet[1].size + 64)


def _rows(x: Vector) -> NDArray[np.float32]:
    return (
        np.pad(x, (0, -x.size % _ROW)).reshape(-1, _ROW) if x.size % _ROW else x.reshape(-1, _ROW)
    )


def zfp(rate: int) -> Scheme:
    """zfp at a fixed number of bits a value, as one-dimensional blocks."""
    import zfpy

    def encode(x: Vector) -> bytes:
        return zfpy.compress_numpy(x, rate=rate)

    return Scheme(
        f"zfpy, rate {rate}", "peer", encode, zfpy.decompress_numpy, lambda data: 8 * len(data)
    )


def torch_cast(name: str) -> Scheme:
    """A cast to a 16-bit type and back."""
    import torch

    torch.set_num_threads(1)
    kind = getattr(torch, name)

    def encode(x: Vector) -> torch.Tensor:
        return torch.from_numpy(x).to(kind)

    def decode(held: torch.Tensor) -> Vector:
        return held.to(torch.float32).numpy()

    return Scheme(f"torch {name}", "peer", encode, decode, lambda held: 16 * held.numel())


def blosc_truncated(mantissa: int) -> Scheme:
    """blosc2: mantissas cut to so many bits, bits shuffled, then zstd."""
    import blosc2

    options = {
        "typesize": 4,
        "nthreads": 1,
        "codec": blosc2.Codec.ZSTD,
        "clevel": 1,
        "filters": [blosc2.Filter.TRUNC_PREC, blosc2.Filter.BITSHUFFLE],
        "filters_meta": [mantissa, 0],
    }

    def encode(x: Vector) -> bytes:
        return blosc2.compress2(x, **options)

    def decode(data: bytes) -> Vector:
        return np.frombuffer(blosc2.decompress2(data, nthreads=1), np.float32)

    name = f"blosc2, {mantissa} bits of mantissa"
    return Scheme(name, "peer", encode, decode, lambda data: 8 * len(data))


def srrcomp(width: int) -> Scheme:
    """EDEN as its authors publish it."""
    import srrcomp as package
    import torch

    torch.set_num_threads(1)
    eden = package.Eden(gpuacctype="torch")

    def encode(x: Vector) -> Any:
        return eden.compress(torch.from_numpy(x), width, 42)

    def decode(packet: Any) -> Vector:
        return eden.decompress(packet).numpy()

    name = f"srrcomp EDEN, {width} bit"
    return Scheme(name, "peer", encode, decode, _tensor_bits, unbiased=True)


def _tensor_bits(packet: Any) -> int:
    """Bits of every tensor inside, and 32 for every number that is not a tensor's shape."""
    import torch

    if isinstance(packet, torch.Tensor):
        return 8 * packet.numel() * packet.element_size()
    if isinstance(packet, dict):
        return sum(_tensor_bits(value) for value in packet.values())
    if isinstance(packet, list | tuple):
        return sum(_tensor_bits(value) for value in packet)
    return 32 if isinstance(packet, int | float) else 0


def bitsandbytes() -> Scheme:
    """The 4-bit "normal floats" of bitsandbytes, a scale for each block of 64."""
    import torch
    from bitsandbytes import functional

    torch.set_num_threads(1)

    def encode(x: Vector) -> Any:
        return functional.quantize_4bit(torch.from_numpy(x), blocksize=64, quant_type="nf4")

    def decode(packet: Any) -> Vector:
        return functional.dequantize_4bit(*packet).numpy()

    def bits(packet: Any) -> int:
        return _tensor_bits([packet[0], packet[1].absmax])

    return Scheme("bitsandbytes nf4, blocks of 64", "peer", encode, decode, bits)


_MAKERS: dict[str, tuple[Callable[[], Scheme], ...]] = {
    "constriction": (
        lambda: fifteen_lines(1.1, REFERENCE),
        lambda: fifteen_lines(0.26, "15 lines: rint and ANS, 4 bits"),
    ),
    "faiss-cpu": (
        lambda: faiss_codec("HR,EDEN1"),
        lambda: faiss_codec("HR,EDEN4BIASED"),
        faiss_minmax,
    ),
    "zfpy": (lambda: zfp(4),),
    "torch": (lambda: torch_cast("float16"), lambda: torch_cast("bfloat16")),
    "blosc2": (lambda: blosc_truncated(3),),
    "srrcomp": (lambda: srrcomp(1), lambda: srrcomp(2)),
    "bitsandbytes": (bitsandbytes,),
}


def available() -> tuple[list[Scheme], list[str]]:
    """The peers that are installed, and why each of the others is missing."""
    found, missing = [], []
    for package, makers in _MAKERS.items():
        try:
            found += [make() for make in makers]
        except ImportError as error:
            missing.append(f"{package}: {error}")
    return found, missing
