"""What travels: a payload of counted bits, and what the decoder must know beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .rounding import round_to

if TYPE_CHECKING:
    from .compressor import Compressor


@dataclass(frozen=True)
class Header:
    """The kind of array that was sent, and the nonce that sender and receiver share.

    The scheme works on x / 2**exponent, so that a norm never overflows; the exponent is 0 but for
    extreme magnitudes. ``nonce`` (64 bits) seeds shared randomness; None where there is none.
    """

    shape: tuple[int, ...]
    dtype: str
    exponent: int = 0
    nonce: int | None = None

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return math.prod(self.shape)

    @property
    def working_dtype(self) -> type[np.floating]:
        """float64 for a float64 array, float32 for every narrower one."""
        return np.float64 if self.dtype == "float64" else np.float32

    def cast(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The array that the receiver holds: scaled back, in the output dtype, in shape."""
        if self.exponent:
            with np.errstate(over="ignore", under="ignore"):
                values = np.ldexp(values.astype(np.float64, copy=False), self.exponent)
        return round_to(values, self.dtype).reshape(self.shape)

    def rounded(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """``values`` as the receiver will hold them, in the scale that the scheme works in."""
        held = self.cast(values).reshape(-1).astype(np.float64, copy=False)
        return np.ldexp(held, -self.exponent) if self.exponent else held


@dataclass(frozen=True)
class Message:
    """An encoded vector: the compressor, the header, and the payload.

    ``bits`` is the number of payload bits that were written (the paper's accounting);
    ``len(message.to_bytes())`` is what a network carries, in bytes.
    """

    compressor: Compressor
    header: Header
    payload: bytes
    bits: int

    def decode(self, device: Any = None) -> Any:  # noqa: ANN401 - an array, or torch's
        """The decompressed array; with ``device``, a torch tensor there.

        Raises FormatError if the payload is malformed.
        """
        return self.compressor.decode(self, device)

    def to_bytes(self) -> bytes:
        """The message as a self-describing frame; see ``paper_code.frame``."""
        from .frame import write_frame

        return write_frame(self)

    @staticmethod
    def from_bytes(data: bytes, max_dim: int | None = None) -> Message:
        """Inverse of ``to_bytes``. Raises FormatError, also above ``max_dim`` (2^26) values."""
        from . import frame

        return frame.parse(data, frame.MAX_DIM if max_dim is None else max_dim)
