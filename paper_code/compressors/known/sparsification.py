"""A few coordinates as they are: the k largest, or k at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.bits import BitReader, BitWriter, FormatError
from ...messages.message import Header
from ...numerics import blocks, compiled
from ...numerics.float_types import round_to
from ...numerics.random_streams import Tag, words
from ..contract import Compressor, Guarantee, Look, check_integer
from .identity import read_values, write_values


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
        check_integer("k", self.k, 1)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(k=3)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("top-k", "#e69f00", "s")

    def guarantee(self, d: int) -> Guarantee:
        """C(1 - k/d): the worst x has all magnitudes equal."""
        _check_k(self.k, d)
        return Guarantee.strictly_contractive(1 - self.k / d)

    def max_bits(self, d: int) -> float:
        """64 bits a value at most (32 for float32), and the subset."""
        _check_k(self.k, d)
        exact = d <= codes.EXACT_SUBSET_DIM
        log2_count = codes.log2_binomial(d, self.k)
        positions = codes.subset_bits(d, self.k) if exact else 1.01 * log2_count + 64
        return 64.0 * self.k + positions

    def plain_values(self, d: int) -> int:
        """k."""
        return self.k

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        _check_k(self.k, x.size)
        mask = largest(x, self.k)
        write_values(writer, x[mask], header)
        codes.write_subset(writer, mask, self.k, ranked=True)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        _check_k(self.k, header.d, FormatError)
        values = read_values(reader, self.k, header)
        reader.label("positions")
        x = np.zeros(header.d, values.dtype)
        x[codes.read_subset(reader, header.d, self.k, ranked=True)] = values
        return x


def largest(x: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Mask of the k coordinates of largest magnitude; ties go to the lower index."""
    magnitudes, mask = np.abs(x), np.empty(x.size, np.bool_)
    magnitudes.partition(x.size - k)
    threshold = magnitudes[x.size - k]
    ties = k - int(np.count_nonzero(magnitudes[x.size - k :] > threshold))
    _mark(x, threshold, ties, mask)
    return mask


@compiled.kernel
def _mark(x, threshold, ties, mask):  # noqa: ANN001, ANN202 - numba infers the types
    """Fill the mask: the magnitudes above the threshold, and the first ``ties`` equal to it."""
    for i in range(x.size):
        mask[i] = abs(x[i]) > threshold
    for i in range(x.size):
        if abs(x[i]) == threshold:
            mask[i] = True
            ties -= 1
            if not ties:
                return


@dataclass(frozen=True)
class RandK(Compressor, wire_id=4):
    """k coordinates at random without replacement, times d/k: 32 k bits for float32.

    C(x)_i = (d/k) x_i for the k coordinates that the message's nonce chooses, else 0: sender and
    receiver draw them alike, so positions cost nothing. Unbiased with omega = d/k - 1, for every x
    exactly. Raises ValueError where k exceeds d, or where (d/k) x_i overflows its type.

    Source: random sparsification in Wangni et al. 2018 (arXiv:1710.09854); this constant in
    Beznosikov et al. 2020 (arXiv:2002.12410).

    >>> RandK(k=2)(np.ones(5), np.random.default_rng(0))
    array([0. , 2.5, 0. , 0. , 2.5])
    """

    k: int
    rescales: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_integer("k", self.k, 1)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(k=3)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("rand-k", "#f5cf7d", "s")

    @property
    def shares_randomness(self) -> bool:
        """The positions."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(d/k - 1)."""
        _check_k(self.k, d)
        return Guarantee.unbiased(d / self.k - 1)

    def max_bits(self, d: int) -> float:
        """64 bits a value at most; 32 for float32."""
        _check_k(self.k, d)
        return 64.0 * self.k

    def plain_values(self, d: int) -> int:
        """k."""
        return self.k

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        _check_k(self.k, x.size)
        write_values(writer, x[at_random(x.size, self.k, header.shared_nonce)], header)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        _check_k(self.k, header.d, FormatError)
        values = read_values(reader, self.k, header).astype(np.float64) * (header.d / self.k)
        held = round_to(values, header.dtype)  # here, while they are few
        x = np.zeros(header.d, held.dtype)
        x[at_random(header.d, self.k, header.shared_nonce)] = held
        return x


def at_random(d: int, k: int, nonce: int) -> NDArray[np.bool_]:
    """Mask of k of d coordinates, every subset of that size as likely (Floyd's algorithm)."""
    mask = np.zeros(d, np.bool_)
    for start in range(0, k, blocks.BLOCK):
        draws = words(nonce, Tag.COORDINATES, start, min(blocks.BLOCK, k - start))
        _choose(mask, d - k + start, draws)
    return mask


@compiled.kernel
def _choose(mask, last, draws):  # noqa: ANN001, ANN202
    """Add to the mask for each draw one of the coordinates 0, ..., last; then raise ``last``."""
    for draw in draws:
        # draw (last + 1) / 2^64, rounded down: any two outcomes differ in chance by 2^-64
        count = np.uint64(last + 1)
        low = (draw & compiled.LOW32) * count >> np.uint64(32)
        place = np.int64(((draw >> np.uint64(32)) * count + low) >> np.uint64(32))
        mask[last if mask[place] else place] = True
        last += 1


def _check_k(k: int, d: int, error: type[ValueError] = ValueError) -> None:
    if k > d:
        raise error(f"k is {k}, but x has only d = {d} coordinates")
