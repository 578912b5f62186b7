"""Messages of torch tensors that stay on their GPU: the same frames as from the main memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .bits import BitReader
from .errors import FormatError
from .message import Header, Message
from .rounding import DTYPES, MAX_DIMENSIONS, dtype_name, is_tensor

if TYPE_CHECKING:
    import torch

    from .compressor import Compressor


def runs_on(device: torch.device) -> bool:
    """Whether compressors run on this device; CUDA has the 64-bit numbers that they need."""
    return device.type == "cuda"


def holds(x: Any) -> bool:  # noqa: ANN401
    """Whether ``x`` is a tensor on such a device, of a kind that is not refused anyhow."""
    if not is_tensor(x) or not runs_on(x.device) or str(x.layout) != "torch.strided":
        return False
    return dtype_name(x) in DTYPES and x.numel() > 0 and x.ndim <= MAX_DIMENSIONS


def as_tensor(x: torch.Tensor) -> tuple[torch.Tensor, str]:
    """``x`` in float32, or float64 if it is, with the name of its own element type."""
    dtype = dtype_name(x)
    return (x.detach() if dtype == "float64" else x.detach().float()), dtype


def encoded(compressor: Compressor, x: Any, rng: np.random.Generator | None) -> Message | None:  # noqa: ANN401
    """The message of a tensor, made on its GPU; None for what needs the checks of the host's way.

    That is whatever is refused, and values near the ends of their type's range. (float16 has little
    but ends: its messages are looked at here.)
    """
    if not holds(x):
        return None
    from . import levels_on_gpu
    from .compressor import is_extreme

    wide, dtype = as_tensor(x)
    flat = wide.contiguous().view(-1)
    peak = levels_on_gpu.peak(flat)
    narrow = dtype == "float16"
    if not math.isfinite(peak) or (is_extreme(peak, dtype, within=2.0**32) and not narrow):
        return None
    if compressor.scaling(math.frexp(peak)[1]):
        return None
    compressor.check_rng(rng)
    try:
        message = compressor.message_of(flat, Header(tuple(x.shape), dtype), rng)
        if narrow:
            decoded(compressor, message, x.device)
    except ValueError:  # the host's way has the words for it
        return None
    return message


def device_of(device: Any) -> torch.device:  # noqa: ANN401
    """The torch device of that name. Raises ValueError for one that there is not."""
    import torch

    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device is {device!r}, which torch refuses: {reason}") from error


def decoded(compressor: Compressor, message: Message, device: Any) -> torch.Tensor:  # noqa: ANN401
    """The tensor of a message on a torch device. Raises FormatError for a malformed payload."""
    import torch

    from . import levels_on_gpu

    device, header = device_of(device), message.header
    dtype = getattr(torch, header.dtype)
    if not compressor.runs_on_gpu or not runs_on(device) or header.exponent:
        return torch.from_numpy(compressor.decode(message)).to(device, dtype)
    reader = BitReader(message.payload, message.bits)
    values = compressor._read_on_gpu(reader, header, device).to(dtype).view(header.shape)
    reader.check_end()
    if not math.isfinite(levels_on_gpu.peak(values)):
        raise FormatError(f"a decoded value overflows {header.dtype}")
    return values
