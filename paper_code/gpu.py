"""Messages of torch tensors that stay on their GPU: the same frames as from the main memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .bits import BitReader
from .errors import FormatError
from .message import Header, Message
from .rounding import DTYPES, MAX_DIMENSIONS

if TYPE_CHECKING:
    import torch

    from .compressor import Compressor


def runs_on(device: torch.device) -> bool:
    """Whether compressors run on this device; CUDA has the 64-bit numbers that they need."""
    return device.type == "cuda"


def holds(x: Any) -> bool:  # noqa: ANN401
    """Whether ``x`` is a tensor on such a device, of a kind that is not refused anyhow."""
    if type(x).__module__.partition(".")[0] != "torch" or not runs_on(x.device):
        return False
    return _dtype(x) in DTYPES and x.numel() > 0 and x.ndim <= MAX_DIMENSIONS


def _dtype(x: torch.Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def as_tensor(x: torch.Tensor) -> tuple[torch.Tensor, str]:
    """``x`` in float32, or float64 if it is, with the name of its own element type."""
    dtype = _dtype(x)
    return (x.detach() if dtype == "float64" else x.detach().float()), dtype


def encoded(compressor: Compressor, x: Any, rng: np.random.Generator | None) -> Message | None:  # noqa: ANN401
    """The message of a tensor, made on its GPU; None for what needs the checks of the host's way.

    That is whatever is refused, and values near the ends of their type's range.
    """
    if not holds(x):
        return None
    from . import levels_on_gpu
    from .compressor import is_extreme

    wide, dtype = as_tensor(x)
    flat = wide.contiguous().view(-1)
    peak = levels_on_gpu.peak(flat)
    if not math.isfinite(peak) or is_extreme(peak, dtype, within=2.0**32):
        return None
    if compressor.scaling(math.frexp(peak)[1]):
        return None
    compressor.check_rng(rng)
    return compressor.message_of(flat, Header(tuple(x.shape), dtype), rng)


def decoded(compressor: Compressor, message: Message, device: Any) -> torch.Tensor:  # noqa: ANN401
    """The tensor of a message on a torch device. Raises FormatError for a malformed payload."""
    import torch

    from . import levels_on_gpu

    device, header = torch.device(device), message.header
    dtype = getattr(torch, header.dtype)
    if not compressor.runs_on_gpu or not runs_on(device) or header.exponent:
        return torch.from_numpy(compressor.decode(message)).to(device, dtype)
    reader = BitReader(message.payload, message.bits)
    values = compressor._read_on_gpu(reader, header, device).to(dtype).view(header.shape)
    reader.check_end()
    if not math.isfinite(levels_on_gpu.peak(values)):
        raise FormatError(f"a decoded value overflows {header.dtype}")
    return values
