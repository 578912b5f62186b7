"""The two baselines of the experiments: send everything, or the k largest coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import codes
from .codes import BitReader, BitWriter
from .compressor import Compressor, Guarantee
from .errors import FormatError
from .message import Header
from .rounding import DTYPES, round_to, to_bfloat16

_WIDTH = dict(zip(DTYPES, (16, 16, 32, 64), strict=True))


def write_values(writer: BitWriter, x: NDArray[Any], header: Header) -> None:
    """Write floats as they are: 16, 32 or 64 bits each, by the element type of the message."""
    if header.dtype == "bfloat16":
        patterns = to_bfloat16(x).view(np.uint32) >> np.uint32(16)
    else:
        held = round_to(x, header.dtype)
        patterns = held.view(f"uint{8 * held.itemsize}")
    writer.write_uints(patterns.astype(np.uint64), _WIDTH[header.dtype])


def read_values(reader: BitReader, count: int, header: Header) -> NDArray[Any]:
    """Read ``count`` floats. Raises FormatError if one is not finite."""
    width = _WIDTH[header.dtype]
    patterns = reader.read_uints(count, width)
    if header.dtype == "bfloat16":
        values = (patterns.astype(np.uint32) << np.uint32(16)).view(np.float32)
    else:
        values = patterns.astype(f"uint{width}").view(header.dtype)
    if not np.all(np.isfinite(values)):
        raise FormatError("a value is not finite")
    return values


@dataclass(frozen=True)
class Identity(Compressor, wire_id=0):
    """No compression: 32 d bits for float32, as plain gradient descent sends.

    >>> Identity().encode(np.ones(14, np.float32)).bits
    448
    """

    rescales: ClassVar[bool] = False

    def guarantee(self, d: int) -> Guarantee:
        """C(0): nothing is lost."""
        return Guarantee.strictly_contractive(0.0)

    def max_bits(self, d: int) -> float:
        """64 bits a coordinate at most; 32 for float32."""
        return 64.0 * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        write_values(writer, x, header)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return read_values(reader, header.d, header)


@dataclass(frozen=True)
class TopK(Compressor, wire_id=2):
    """The k coordinates of largest magnitude, as they are: 32 k + ceil(log2 C(d, k)) bits.

    Strictly contractive with alpha = 1 - k/d. Ties go to the lower index. Raises ValueError where
    k exceeds d.

    >>> TopK(k=1)(np.array([1.0, -5.0, 2.0]))
    array([ 0., -5.,  0.])
    """

    k: int
    rescales: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; allowed are integers from 1")

    def guarantee(self, d: int) -> Guarantee:
        """C(1 - k/d): the worst x has all magnitudes equal."""
        self._check_k(d)
        return Guarantee.strictly_contractive(1 - self.k / d)

    def max_bits(self, d: int) -> float:
        """64 bits a value at most (32 for float32), and the subset."""
        self._check_k(d)
        exact = d <= codes.EXACT_SUBSET_DIM
        log2_count = codes.log2_binomial(d, self.k)
        positions = codes.subset_bits(d, self.k) if exact else 1.01 * log2_count + 64
        return 64.0 * self.k + positions

    def _check_k(self, d: int) -> None:
        if self.k > d:
            raise ValueError(f"k is {self.k}, but x has only d = {d} coordinates")

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        self._check_k(x.size)
        mask = largest(x, self.k)
        write_values(writer, x[mask], header)
        codes.write_subset(writer, mask, self.k)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        if self.k > header.d:
            raise FormatError(f"k is {self.k}, but the message has d = {header.d} coordinates")
        values = read_values(reader, self.k, header)
        x = np.zeros(header.d, values.dtype)
        x[codes.read_subset(reader, header.d, self.k)] = values
        return x


def largest(x: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Mask of the k coordinates of largest magnitude; ties go to the lower index."""
    magnitudes = np.abs(x)
    threshold = np.partition(magnitudes, x.size - k)[x.size - k]
    mask = magnitudes > threshold
    ties = np.flatnonzero(magnitudes == threshold)
    mask[ties[: k - int(np.count_nonzero(mask))]] = True
    return mask
