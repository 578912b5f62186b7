"""The loops of Sparse Dithering over torch tensors where they lie: the same bits as on the CPU.

Only packed bits and random numbers cross to and from the main memory. Every sum is added in the
order of ``kernels.sum_of_squares``, and every value is rounded as NumPy rounds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from .bits import BitWriter
from .kernels import TREE
from .levels_on_cpu import Fields
from .message import Header

CHUNK = 1 << 20
"""Coordinates at a time, whole trees and whole words: this bounds the GPU memory taken."""


def peak(x: torch.Tensor) -> float:
    """max |x_i|, or NaN if there is one."""
    low, high = torch.aminmax(x)
    return max(-low.item(), high.item())


def sum_of_squares(x: torch.Tensor) -> float:
    """||x||^2 in float64, added as ``kernels.sum_of_squares`` adds."""
    sums = []
    for part in x.split(CHUNK):
        filled = torch.nn.functional.pad(part, (0, -part.numel() % TREE)).double().view(-1, TREE)
        squares = filled * filled
        while squares.shape[1] > 1:
            half = squares.shape[1] // 2
            squares = squares[:, :half] + squares[:, half:]
        sums.append(squares.view(-1))
    return math.fsum(torch.cat(sums).tolist())


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
    sent = levels.double().mul_(gamma).to(x.dtype).to(getattr(torch, header.dtype)).double()
    return sum_of_squares(sent.sub_(x)) / sum_of_squares(x)


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
    decoded = torch.zeros(d, dtype=dtype, device=device)
    if fields is None:
        return decoded
    nonzero = fields.at_levels - fields.at_signs
    mask = torch.cat(list(_read(fields.mask, fields.at_mask, d, device)))
    signs = torch.cat(list(_read(fields.words, fields.at_signs, nonzero, device)))
    ends, start = [torch.full((1,), -1, device=device)], 0
    for ones in _read(fields.words, fields.at_levels, fields.end - fields.at_levels, device):
        ends.append(ones.nonzero().view(-1) + start)
        start += ones.numel()
    values = torch.cat(ends).diff().double().mul_(fields.gamma)
    return decoded.masked_scatter_(mask, torch.where(signs, -values, values).to(dtype))


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
) -> Iterator[torch.Tensor]:
    """The ``bits`` bits from ``position`` on as booleans, chunk by chunk; unpacked on the GPU."""
    weights = torch.tensor(_WEIGHTS, dtype=torch.uint8, device=device)
    for start in range(position, position + bits, CHUNK):
        stop = min(start + CHUNK, position + bits)
        part = words[start // 64 : -(-stop // 64)].astype(">u8").view(np.uint8)
        packed = torch.from_numpy(part).to(device)
        ones = (packed[:, None] & weights).view(-1) != 0
        yield ones[start % 64 : start % 64 + stop - start]
