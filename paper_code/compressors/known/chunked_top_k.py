"""The k largest of each chunk in a few bits each: the sparse format in use for outer steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitReader, BitWriter, FormatError, ceil_log2
from ...coding.codes import read_positive_floats, write_positive_floats
from ...messages.message import Header
from ...numerics import compiled
from ...numerics.float_types import ROUNDOFF
from ..contract import Compressor, Guarantee, Look, check_integer
from .sparsification import largest

_ROUNDING = ROUNDOFF["bfloat16"] + 2.0**-22  # of the coarsest element type, float32, the scale
_WIDTHS = 16  # widths of a cell that are tried


@dataclass(frozen=True)
class ChunkedTopK(Compressor, wire_id=22):
    """The k coordinates of largest magnitude of each chunk, as scale * level.

    A chunk costs 31 bits of scale (a float32), and for each coordinate kept ceil(log2 n) bits of
    position (one at least), n = min(chunk, d), and ``value_bits`` of value: a sign and one of the
    levels 1, 3, ..., 2^value_bits - 1. With the settings in use, the defaults, that is .227 bit a
    coordinate. A last chunk that is shorter keeps k coordinates too, or all that it has.

    Strictly contractive with alpha = 1 - (1 - u^2) min(1/k, k/n), k at most n, where
    u is the roundoff of bfloat16, the coarsest element type, and a little for float32. Proof, for
    a chunk x with v the k coordinates kept and m the least |v_i|: levels and scale are those of
    least error among a few, one of which has all levels 1 and the scale ||v||_1 / k, so that its
    error is ||x||^2 - ||v||_1^2 / k, and at most ||x||^2 - (1 - u^2) ||v||_1^2 / k after all values
    are rounded by one factor within 1 +- u. Here ||x||^2 <= ||v||^2 + (n - k) m^2, and among the v
    of given ||v||_1 and m, (M, m, ..., m) has the largest norm: so ||v||_1^2 / ||x||^2 is at least
    (M + (k - 1) m)^2 / (M^2 + (n - 1) m^2), which rises and then falls as m goes from 0 to M, and
    is 1 and k^2 / n at the ends.

    Source: top-k of each chunk with memory, Peng et al. 2024 (arXiv:2411.19870); 2 bits a value and
    12 a position, Sarfi et al. 2025 (arXiv:2508.15706), who quantise by another table.

    >>> ChunkedTopK(k=2, chunk=4)(np.array([1.0, -6.0, 0.0, 2.0, 3.0]))
    array([ 0., -6.,  0.,  2.,  3.])
    """

    k: int = 64
    chunk: int = 4096
    value_bits: int = 2

    def __post_init__(self) -> None:
        check_integer("chunk", self.chunk, 1, 1 << 20)
        check_integer("k", self.k, 1, self.chunk)
        check_integer("value_bits", self.value_bits, 1, 8)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with: chunks that divide 40 coordinates, and some that do not."""
        return [cls(k=3, chunk=16)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("top-k of chunks", "#5c4400", "H")

    def guarantee(self, d: int) -> Guarantee:
        """C(1 - (1 - u^2) min(1/k, k/n)), n = min(chunk, d), u = 2^-8 + 2^-22."""
        n = min(self.chunk, d)
        k = min(self.k, n)
        return Guarantee.strictly_contractive(1 - (1 - _ROUNDING**2) * min(1 / k, k / n))

    def max_bits(self, d: int) -> float:
        """31 for each chunk, and position and value of each coordinate kept: exactly."""
        kept = self._kept(d)
        return float(31 * kept.size + int(kept.sum()) * (self._place_bits(d) + self.value_bits))

    def _kept(self, d: int) -> NDArray[np.int64]:
        """How many coordinates each chunk keeps."""
        lengths = np.full(-(-d // self.chunk), self.chunk)
        lengths[-1] = d - self.chunk * (lengths.size - 1)
        return np.minimum(lengths, self.k)

    def _place_bits(self, d: int) -> int:
        return max(1, ceil_log2(min(self.chunk, d)))

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        kept = self._kept(x.size)
        starts = np.arange(kept.size) * self.chunk
        places = np.concatenate(
            [
                start + np.flatnonzero(largest(x[start : start + self.chunk], count))
                for start, count in zip(starts, kept, strict=True)
            ]
        )
        values, ends = x[places].astype(np.float64), np.cumsum(kept)
        scales = np.zeros((kept.size, _WIDTHS + 1))
        _fit(values, ends, self._levels, scales)
        with np.errstate(under="ignore"):
            rounded = scales.astype(np.float32)
        products = _products(rounded[:, :, None], self._odd, header)
        decoded = replace(header, shape=products.shape).rounded(products).reshape(products.shape)
        codes, best = np.empty(places.size, np.uint64), np.empty(kept.size, np.int64)
        _choose(values, ends, decoded, codes, best)
        write_positive_floats(writer, rounded[np.arange(kept.size), best])
        writer.write_uints((places % self.chunk).astype(np.uint64), self._place_bits(x.size))
        writer.write_uints(codes, self.value_bits)

    @property
    def _levels(self) -> int:
        """How many there are beside the sign."""
        return 1 << self.value_bits - 1

    @property
    def _odd(self) -> NDArray[np.floating]:
        return 2.0 * np.arange(self._levels) + 1

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        kept = self._kept(header.d)
        reader.label("scales")
        scales = read_positive_floats(reader, kept.size)
        reader.label("positions")
        places = reader.read_uints(int(kept.sum()), self._place_bits(header.d), "uint32")
        places = places + np.repeat(np.arange(kept.size) * self.chunk, kept)
        chunk_of = np.repeat(np.arange(kept.size), kept)
        if np.any(places[1:] <= places[:-1]) or places[-1] >= header.d:
            raise FormatError("positions do not rise within their chunk")
        reader.label("values")
        codes = reader.read_uints(places.size, self.value_bits, "uint8")
        signs = 1 - 2.0 * (codes >= self._levels)
        x = np.zeros(header.d, header.working_dtype)
        x[places] = _products(scales[chunk_of], signs * self._odd[codes % self._levels], header)
        return x


def _products(
    scales: NDArray[np.float32], levels: NDArray[np.floating], header: Header
) -> NDArray[np.floating]:
    """As the decoder has them: whoever encodes looks at the same numbers."""
    with np.errstate(all="ignore"):  # a stranger's scale may overflow, which decode reports
        return (scales.astype(np.float64) * levels).astype(header.working_dtype)


@compiled.kernel
def _fit(values, ends, levels, scales):  # noqa: ANN001, ANN202 - numba infers the types
    """scales[c, t]: scale of least error for chunk c, cells of width t; signs at t = 0."""
    first = 0
    for c in range(ends.size):
        peak = 0.0
        for i in range(first, ends[c]):
            peak = max(peak, abs(values[i]))
        for t in range(scales.shape[1]):
            product, square = 0.0, 0.0
            for i in range(first, ends[c]):
                level = 2.0 * _level(abs(values[i]), peak, t, levels) + 1
                product += level * abs(values[i])
                square += level * level
            scales[c, t] = product / square
        first = ends[c]


@compiled.kernel
def _choose(values, ends, decoded, codes, best):  # noqa: ANN001, ANN202
    """The codes of least error: ``decoded[c, t, level]`` is what the receiver will hold."""
    first, levels = 0, decoded.shape[2]
    for c in range(ends.size):
        peak = 0.0
        for i in range(first, ends[c]):
            peak = max(peak, abs(values[i]))
        least = np.inf
        for t in range(decoded.shape[1]):
            error = 0.0
            for i in range(first, ends[c]):
                magnitude = abs(values[i])
                error += (magnitude - decoded[c, t, _level(magnitude, peak, t, levels)]) ** 2
            if error < least:
                least, best[c] = error, t
        for i in range(first, ends[c]):
            level = _level(abs(values[i]), peak, best[c], levels)
            codes[i] = level + (levels if values[i] < 0 else 0)
        first = ends[c]


@compiled.kernel
def _level(magnitude, peak, t, levels):  # noqa: ANN001, ANN202
    """The level's number: over cells of which 8 levels / t reach up to the peak."""
    if t == 0 or peak == 0:
        return 0
    return min(levels - 1, int(8 * levels * magnitude / (t * peak)))
