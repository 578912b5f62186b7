"""The loops of Sparse Dithering over torch tensors where they lie: the same bits as on the CPU.

Only packed bits and random numbers cross to and from the main memory. Every sum is added in the
order of ``norms.sum_of_squares``, and every value is rounded as NumPy rounds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ..coding.bits import BitWriter
from ..messages.message import Header
from ..numerics.norms import TREE
from .levels_on_cpu import Fields, Place, places

CHUNK = 1 << 20
"""Coordinates at a time, whole trees and whole words: beside a vector and its levels, only what so
many take is held on the GPU."""


def peak(x: torch.Tensor) -> float:
    """max |x_i|, or NaN if there is one."""
    low, high = torch.aminmax(x)
    return max(-low.item(), high.item())


def sum_of_squares(x: torch.Tensor) -> float:
    """||x||^2 in float64, added as ``norms.sum_of_squares`` adds."""
    return _sum_of_trees(_trees(part) for part in x.split(CHUNK))


def _trees(part: torch.Tensor) -> torch.Tensor:
    """The sums of squares of every TREE coordinates, halves added to halves; zeros fill it up."""
    filled = torch.nn.functional.pad(part, (0, -part.numel() % TREE)).double().view(-1, TREE)
    squares = filled * filled
    while squares.shape[1] > 1:
        half = squares.shape[1] // 2
        squares = squares[:, :half] + squares[:, half:]
    return squares.view(-1)


def _sum_of_trees(sums: Iterable[torch.Tensor]) -> float:
    return math.fsum(torch.cat(list(sums)).tolist())


def round_to_nearest(x: torch.Tensor, gamma: float, dtype: str) -> torch.Tensor:
    """The signed levels sign(x_i) ceil(|x_i| / gamma - 1/2)."""
    levels = torch.empty(x.shape, dtype=getattr(torch, dtype), device=x.device)
    for part, held in zip(x.split(CHUNK), levels.split(CHUNK), strict=True):
        size = part.abs().double().mul_(1.0 / gamma).sub_(0.5).ceil_()
        held.copy_(torch.where(part < 0, -size, size))
    return levels


def round_at_random(
    x: torch.Tensor, gamma: float, dtype: str, rng: np.random.Generator
) -> torch.Tensor:
    """The signed levels sign(x_i) floor(|x_i| / gamma + u_i); the u_i come from the host."""
    levels = torch.empty(x.shape, dtype=getattr(torch, dtype), device=x.device)
    for part, held in zip(x.split(CHUNK), levels.split(CHUNK), strict=True):
        uniforms = torch.from_numpy(rng.random(part.numel())).to(x.device)
        size = part.abs().double().mul_(1.0 / gamma).add_(uniforms).floor_()
        held.copy_(torch.where(part < 0, -size, size))
    return levels


def count(levels: torch.Tensor) -> int:
    """How many levels are not zero."""
    return int(torch.count_nonzero(levels))


def members(levels: torch.Tensor) -> NDArray[np.bool_]:
    """Which levels are not zero, in the main memory: the subset code is made there."""
    return (levels != 0).cpu().numpy()


def distortion(x: torch.Tensor, gamma: float, levels: torch.Tensor, header: Header) -> float:
    """||C(x) - x||^2 / ||x||^2 for the values that the receiver will hold."""
    dtype = getattr(torch, header.dtype)

    def gaps() -> Iterator[torch.Tensor]:
        for part, own in zip(x.split(CHUNK), levels.split(CHUNK), strict=True):
            sent = own.double().mul_(gamma).to(x.dtype).to(dtype)
            yield _trees(sent.double().sub_(part))

    return _sum_of_trees(gaps()) / sum_of_squares(x)


def write_mask(writer: BitWriter, levels: torch.Tensor) -> None:
    """Write one bit for each coordinate: is it non-zero?"""
    for part in levels.split(CHUNK):
        _write(writer, part != 0)


def write_signs(writer: BitWriter, levels: torch.Tensor) -> None:
    """Write one bit for each non-zero coordinate: 1 where it is negative."""
    for part in levels.split(CHUNK):
        _write(writer, part[part != 0] < 0)


def write_unary(writer: BitWriter, levels: torch.Tensor) -> None:
    """Write each non-zero |level| k as k - 1 zeros and a one."""
    for part in levels.split(CHUNK):
        ends = part[part != 0].long().abs_().cumsum(0)
        if ends.numel():
            ones = torch.zeros(int(ends[-1]), dtype=torch.bool, device=levels.device)
            ones[ends - 1] = True
            _write(writer, ones)


def values_of(fields: Fields | None, header: Header, device: torch.device) -> torch.Tensor:
    """The decoded vector on ``device``, in the working dtype; zero where there are no fields."""
    d, dtype = header.d, torch.float64 if header.dtype == "float64" else torch.float32
    values = torch.zeros(d, dtype=dtype, device=device)
    if fields is None:
        return values
    parts = [slice(start, min(start + CHUNK, d)) for start in range(0, d, CHUNK)]
    starts = places(fields, parts)
    ends = [*starts[1:], Place(0, fields.at_levels, fields.end)]
    for part, start, end in zip(parts, starts, ends, strict=True):
        mask = _read(fields.mask, start.at_mask, part.stop - part.start, device)
        signs = _read(fields.words, start.at_signs, end.at_signs - start.at_signs, device)
        ones = _read(fields.words, start.at_levels, end.at_levels - start.at_levels, device)
        levels = ones.nonzero().view(-1).diff(prepend=torch.full((1,), -1, device=device))
        sizes = levels.double().mul_(fields.gamma)
        values[part].masked_scatter_(mask, torch.where(signs, -sizes, sizes).to(dtype))
    return values


_WEIGHTS = (128, 64, 32, 16, 8, 4, 2, 1)


def _write(writer: BitWriter, ones: torch.Tensor) -> None:
    """Write a bit for each boolean; packed where they lie."""
    bits = ones.numel()
    filled = torch.nn.functional.pad(ones.view(torch.uint8), (0, -bits % 64 + 64)).view(-1, 8)
    weights = torch.tensor(_WEIGHTS, dtype=torch.uint8, device=ones.device)
    packed = (filled * weights).sum(dim=1, dtype=torch.uint8)
    writer.write_words(packed.cpu().numpy().view(">u8").astype(np.uint64), bits)


def _read(
    words: NDArray[np.uint64], position: int, bits: int, device: torch.device
) -> torch.Tensor:
    """The ``bits`` bits from ``position`` on as booleans; unpacked on the GPU."""
    weights = torch.tensor(_WEIGHTS, dtype=torch.uint8, device=device)
    part = words[position // 64 : -(-(position + bits) // 64)].astype(">u8").view(np.uint8)
    ones = (torch.from_numpy(part).to(device)[:, None] & weights).view(-1) != 0
    return ones[position % 64 : position % 64 + bits]
