"""Messages of torch tensors that stay on their GPU: the same frames as from the main memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..coding.bits import BitReader, FormatError
from ..messages.message import Header, Message
from ..numerics import tensors
from ..numerics.tensors import as_tensor, device_of, holds

if TYPE_CHECKING:
    import torch

    from .contract import Compressor


def encoded(compressor: Compressor, x: Any, rng: np.random.Generator | None) -> Message | None:  # noqa: ANN401
    """The message of a tensor, made on its GPU; None for what needs the checks of the host's way.

    That is whatever is refused, and values near the ends of their type's range. (float16 has little
    but ends: its messages are looked at here.)
    """
    if not holds(x):
        return None
    from ..numerics.float_types import is_extreme
    from . import levels_on_gpu

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


def decoded(compressor: Compressor, message: Message, device: Any) -> torch.Tensor:  # noqa: ANN401
    """The tensor of a message on a torch device. Raises FormatError for a malformed payload."""
    import torch

    from . import levels_on_gpu

    device, header = device_of(device), message.header
    dtype = getattr(torch, header.dtype)
    if not compressor.runs_on_gpu or not tensors.runs_on(device) or header.exponent:
        return torch.from_numpy(compressor.decode(message)).to(device, dtype)
    reader = BitReader(message.payload, message.bits)
    values = compressor._read_on_gpu(reader, header, device).to(dtype).view(header.shape)
    reader.check_end()
    if not math.isfinite(levels_on_gpu.peak(values)):
        raise FormatError(f"a decoded value overflows {header.dtype}")
    return values
