"""Trellis compression: within 0.08 bit per coordinate of the bound, in linear time.

A trellis-coded quantiser packs the levels of successive coordinates almost as densely as balls,
which scalar rounding cannot; the entropy coder takes the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitReader, BitWriter, FormatError
from ...messages.message import Header
from ...numerics import norms
from ...numerics.random_rotation import rotate, unrotate
from ..contract import Compressor, Guarantee, Look, Values, check_choice, taken_from
from . import dealt, long_vectors
from . import wire_13 as wire_13  # so that its frames can be read wherever this is imported
from .long_payload import Way, held, read
from .long_vectors import FEW_STATES
from .settings import check, guarantee_of
from .stretches import WIDTHS

LONG = 1 << 14
"""Vectors of so many coordinates are long: they have chunks of their own scales and models."""

_KIND_BITS = 2
_ZEROS, _DEALT, _LONG, _LONG_OTHERWISE = range(4)
"""What a payload is: nothing but zeros; ``dealt``; ``long_vectors``, also in another way."""
_WIDTH_BITS, _CELLS = 3, 7
"""A width that is none says that cells choose among models; the width follows."""

_FEW, _FEW_BITS = 0.005, 1 << 12
"""Bits a coordinate, and bits in all, below which both kinds of payloads are tried."""


@dataclass(frozen=True)
class TrellisCompression(Compressor, wire_id=23, later={"search": 25}):
    """Quantise x along the best path of a trellis with ``states`` states: C(x) = scale n(x).

    At each coordinate the state allows the even or the odd integers, and n mod 4 moves it on. The
    path minimises error and bits together (Viterbi); the encoder measures its error and tunes the
    step until it just meets alpha. Strictly contractive: ||C(x) - x||^2 <= alpha ||x||^2 for every
    message. On normal vectors 1/2 log2(1 / alpha) + 0.075 bits a coordinate with 8 states, 0.048
    with 64, 0.035 with 256 (d = 2^20, alpha <= 1/2, frame and all). x is any array of d
    coordinates; encoding takes time of order d * states, decoding d.

    From 2^14 coordinates on the vector is cut into chunks, each with its own step, scale and, where
    that saves bits, its own model; vectors that take next to no bits that way are sent as one.
    Below 0.6 bit a coordinate the encoder also tries to read chunks by columns, as weights of
    layers with silent inputs are alike, and below 0.15 bit once more and with 8 states. Where rows
    or columns differ in scale, each cell of 64 neighbours gets one of a few models: 0.06 bit above
    the least for normal rows of four scales, 0.26 with one model for all. On vectors of training
    all this saves 5 % of the bits in the median and a third at most, in up to six times the time:
    ``search`` "fast" does without, and is the better choice over links of 2 Mbit/s or more.

    ``unbiased``: x is rotated at random before, and scale = ||x||^2 / <x, n>. Under a uniformly
    random rotation (d <= 64) this is unbiased with omega = alpha / (1 - alpha) exactly; beyond, two
    rounds of a randomised Hadamard transform stand in for it, and unbiasedness is as good as they
    are. The error is alpha / (1 - alpha) ||x||^2 at most in every message.

    Source: Ungerboeck 1982 (IEEE Trans. Inf. Theory 28), Fischer and Wang 1992 (IEEE Trans. Inf.
    Theory 38); the scale that makes it unbiased: Vargaftik et al. 2022, EDEN.

    >>> c = TrellisCompression(alpha=0.1)
    >>> x = np.array([3.0, -4.0, 0.1, 0.0])
    >>> bool(np.sum((c(x) - x) ** 2) <= 0.1 * np.sum(x**2))
    True
    """

    alpha: float
    states: int = 64
    unbiased: bool = False
    search: Literal["thorough", "fast"] = "thorough"  # a frame tells the place

    def __post_init__(self) -> None:
        check(self.alpha, self.states, self.unbiased)
        check_choice("search", self.search, "thorough", "fast")

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(alpha=0.1, states=8), cls(alpha=0.2, states=4, unbiased=True)]

    @property
    def look(self) -> Look:
        """The unbiased variant has a lighter tone."""
        if self.unbiased:
            return Look("unbiased trellis", "#f2a065", "*")
        return Look("trellis", "#d55e00", "*")

    @property
    def shares_randomness(self) -> bool:
        """The rotation of the unbiased variant is drawn by both sides."""
        return self.unbiased

    def guarantee(self, d: int) -> Guarantee:
        """U(alpha / (1 - alpha)) if unbiased, else C(alpha)."""
        return guarantee_of(self.alpha, self.unbiased)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values | None:
        energy = norms.sum_of_squares(x)
        if not energy:
            writer.write_uint(_ZEROS, _KIND_BITS)
            return None
        y = rotate(x, header.shared_nonce) if self.unbiased else x
        found = None
        if y.size >= LONG:
            settings = self.alpha, self.states, self.unbiased, header, self.search == "thorough"
            found = long_vectors.cheapest(y, energy, *settings)
        if not found or found[1].bits < max(_FEW * y.size, _FEW_BITS):
            states, other = self._dealt_states(y.size), BitWriter()
            dealt.write(other, y, energy, self.alpha, states, self.unbiased, header)
            if not found or other.bits < found[1].bits:
                writer.write_uint(_DEALT, _KIND_BITS)
                writer.append(other)
                return None
        way, payload, paths = found
        self._write_way(writer, way)
        writer.append(payload)
        if not paths:
            return None
        return lambda _, rest: taken_from(
            rest, self._rotated_back(held(paths, way.width, header), header)
        )

    def _write_way(self, writer: BitWriter, way: Way) -> None:
        """The kind of payload, and in which way the vector was searched."""
        if way == Way(self.states):
            writer.write_uint(_LONG, _KIND_BITS)
            return
        writer.write_uint(_LONG_OTHERWISE, _KIND_BITS)
        if way.cells:
            writer.write_uint(_CELLS, _WIDTH_BITS)
        writer.write_uint(WIDTHS.index(way.width), _WIDTH_BITS)
        writer.write_uint(int(way.states != self.states), 1)

    def _read_way(self, reader: BitReader, kind: int) -> Way:
        if kind == _LONG:
            return Way(self.states)
        width = reader.read_uint(_WIDTH_BITS)
        if cells := width == _CELLS:
            width = reader.read_uint(_WIDTH_BITS)
        few = reader.read_uint(1)
        if width >= len(WIDTHS):
            raise FormatError(f"width {width} of chunks; allowed are 0 to {len(WIDTHS) - 1}")
        return Way(FEW_STATES if few else self.states, WIDTHS[width], cells)

    def _dealt_states(self, d: int) -> int:
        """Long vectors have a dealt payload where few states do as well: sparse, of few bits."""
        return self.states if d < LONG else min(self.states, FEW_STATES)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("kind")
        kind = reader.read_uint(_KIND_BITS)
        if kind == _ZEROS:
            return np.zeros(header.d, header.working_dtype)
        if kind == _DEALT:
            values = dealt.read(reader, header, self._dealt_states(header.d))
        elif header.d >= LONG:
            values = read(reader, header, self._read_way(reader, kind))
        else:
            raise FormatError(f"a payload of kind {kind} for {header.d} coordinates")
        return self._rotated_back(values, header)

    def _rotated_back(self, values: NDArray[Any], header: Header) -> NDArray[Any]:
        return unrotate(values, header.shared_nonce, True) if self.unbiased else values
