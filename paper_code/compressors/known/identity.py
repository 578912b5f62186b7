"""Everything, as it is: plain gradient descent is a compressor too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitReader, BitWriter, FormatError
from ...messages.message import Header
from ...numerics import norms
from ...numerics.float_types import DTYPES, round_to, to_bfloat16
from ..contract import Compressor, Guarantee, Look, Values, taken_from

_WIDTH = dict(zip(DTYPES, (16, 16, 32, 64), strict=True))


def write_values(writer: BitWriter, x: NDArray[Any], header: Header) -> None:
    """Write floats as they are: 16, 32 or 64 bits each, by the element type of the message."""
    if header.dtype == "bfloat16":
        patterns = to_bfloat16(x).view(np.uint32) >> np.uint32(16)
    else:
        held = round_to(x, header.dtype)
        patterns = held.view(f"uint{8 * held.itemsize}")
    writer.write_uints(patterns, _WIDTH[header.dtype])


def read_values(reader: BitReader, count: int, header: Header) -> NDArray[Any]:
    """Read ``count`` floats. Raises FormatError if one is not finite."""
    reader.label("values")
    width = _WIDTH[header.dtype]
    patterns = reader.read_uints(count, width, f"uint{width}")
    if header.dtype == "bfloat16":
        values = (patterns.astype(np.uint32) << np.uint32(16)).view(np.float32)
    else:
        values = patterns.view(header.dtype)
    if not math.isfinite(norms.peak(values)):
        raise FormatError("a value is not finite")
    return values


def _copied(x: NDArray[Any], out: NDArray[Any] | None, rest: NDArray[Any] | None) -> NDArray[Any]:
    """The receiver's array, which may be changed, is not the sender's."""
    out = np.empty_like(x) if out is None else out
    np.copyto(out, x)
    return taken_from(rest, out)


@dataclass(frozen=True)
class Identity(Compressor, wire_id=0):
    """No compression: 32 d bits for float32, as plain gradient descent sends.

    >>> Identity().encode(np.ones(14, np.float32)).bits
    448
    """

    rescales: ClassVar[bool] = False

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("float32, uncompressed", "#4d4d4d", "o")

    def guarantee(self, d: int) -> Guarantee:
        """C(0): nothing is lost."""
        return Guarantee.strictly_contractive(0.0)

    def max_bits(self, d: int) -> float:
        """64 bits a coordinate at most; 32 for float32."""
        return 64.0 * d

    def plain_values(self, d: int) -> int:
        """All."""
        return d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values:
        write_values(writer, x, header)
        return partial(_copied, x)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return read_values(reader, header.d, header)
