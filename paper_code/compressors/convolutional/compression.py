"""Convolutional compression: within 7 to 14 % of the bound at all low rates, without a model.

A convolutional code that is meant to correct errors names, with one bit, the signs of several
coordinates; the search for the word nearest to a vector is the decoder of that code, and decoding
a message is its encoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...coding import codes
from ...coding.bits import FormatError, ceil_log2
from ...coding.codes import BitReader, BitWriter
from ...messages.message import Header
from ...numerics import norms, random_streams
from ...numerics.random_rotation import Rotation, rotate, roundoff, unrotate
from ...numerics.random_streams import Tag
from ..contract import Compressor, Guarantee, Look
from .codes import CORRELATION, LONGEST, STATES
from .encoder import Layout, Word, correlation, find, multiply

_ATTEMPTS = 6
"""Rotations that are tried; behind them a message of another kind that is sure to do."""

_MARGIN = 0.1
"""What the first attempt aims for beyond alpha: so many times (1 - alpha) / sqrt(d).

The search works on rounded coordinates, whose correlation with a word is not quite the true one.
"""

_DIFFERENCE_BITS = 1  # parameter of the Golomb-Rice code of the differences between segments


def finest(states: int) -> float:
    """The least alpha: the error at one bit for two coordinates, on long normal vectors."""
    return math.ceil(1e3 * (1 - (CORRELATION[states][1] / 1e5) ** 2)) / 1e3


@dataclass(frozen=True)
class ConvolutionalCompression(Compressor, wire_id=14):
    """A multiple of a word of signs of a convolutional code: C(x) = c R^T s, R a random rotation.

    One bit stands for the signs of as many coordinates as the error allows, 2 to 64; the Viterbi
    algorithm finds the word that correlates most with Rx. The encoder measures the error and takes
    another rotation, whose number is in the payload, where it misses alpha. Strictly contractive:
    ||C(x) - x||^2 <= alpha ||x||^2 for every message. Bits are 1.10 times the bound's with 256
    states on long vectors, 1.08 with 1024, 1.07 with 4096, for any x; encoding takes time of order
    d * states (less at low rates), decoding d log d. x is any array of d coordinates.

    ``unbiased``: c = ||x||^2 / <Rx, s>. Given Rx, a uniformly random rotation (d <= 64) is still
    uniform around x: unbiased with omega = alpha / (1 - alpha). Beyond, three rounds of a
    randomised Hadamard transform stand in for it. The error is at most alpha / (1 - alpha) ||x||^2
    in every message.

    Source: Viterbi and Omura 1974 (IEEE Trans. Inf. Theory 20); the scale that makes it unbiased:
    Vargaftik et al. 2022, EDEN.

    >>> c, x = ConvolutionalCompression(alpha=0.9), np.sin(np.arange(1000.0))
    >>> message = c.encode(x, np.random.default_rng(0))
    >>> message.bits < 150, bool(np.sum((message.decode() - x) ** 2) <= 0.9 * np.sum(x**2))
    (True, True)
    """

    alpha: float
    states: int = 1024
    unbiased: bool = False
    shrinks_evenly: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.states not in STATES:
            raise ValueError(f"states is {self.states}; allowed are {', '.join(map(str, STATES))}")
        least = finest(self.states)
        if not least <= self.alpha < 1:
            raise ValueError(
                f"alpha is {self.alpha}; allowed are {least} <= alpha < 1 with {self.states} "
                "states: take TrellisCompression for less"
            )

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(alpha=0.9, states=64), cls(alpha=0.7, states=64, unbiased=True)]

    @property
    def look(self) -> Look:
        """The unbiased variant has a lighter tone."""
        if self.unbiased:
            return Look("unbiased convolutional", "#a899ff", "p")
        return Look("convolutional", "#2600ff", "p")

    @property
    def shares_randomness(self) -> bool:
        """Both sides draw the rotation."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """U(alpha / (1 - alpha)) if unbiased, else C(alpha)."""
        if self.unbiased:
            return Guarantee.unbiased(self.alpha / (1 - self.alpha))
        return Guarantee.strictly_contractive(self.alpha)

    def max_bits(self, d: int) -> float:
        """The scale, the attempts, and 9 bits a coordinate or all that a word can take."""
        layout = Layout(d, self.alpha)
        steps = ceil_log2(layout.segments[0]) + sum(2 * rows for rows in layout.segments[1:])
        word = steps + layout.sequences * (ceil_log2(layout.candidates) + layout.rows)
        return 31 + _ATTEMPTS + max(word, 9 * d)

    def expected_bits(self, d: int) -> float:
        """The mean over messages of normal vectors and two of its standard errors.

        Rotated, any vector is like them. Beyond 2^20 coordinates, in proportion.
        """
        most = 1 << 20
        return _measured_bits(self, min(d, most)) * max(1.0, d / most)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        energy = norms.sum_of_squares(x)
        if not energy:
            codes.write_positive_float(writer, 0.0)
            return
        layout = Layout(x.size, self.alpha)
        for attempt in range(_ATTEMPTS):
            found = self._word(x, energy, layout, header, attempt)
            if found:
                scale, word = found
                codes.write_positive_float(writer, scale)
                writer.write_uint((1 << attempt + 1) - 2, attempt + 1)
                _write_word(writer, word)
                return
        self._write_exponents(x, energy, writer, header)

    def _word(
        self, x: NDArray[Any], energy: float, layout: Layout, header: Header, attempt: int
    ) -> tuple[float, Word] | None:
        """A word and its scale that meet the guarantee as the receiver sees it, or nothing."""
        y = self._rotated(x, header, attempt)
        margin = _MARGIN * 4**attempt / math.sqrt(x.size)
        need = math.sqrt(energy * (1 - self.alpha) * (1 + margin))
        word = find(y, math.sqrt(x.size / energy), layout, self.states, need, header.shared_nonce)
        if not word:
            return None
        signs = word.signs(header.shared_nonce)
        cross, own = correlation(signs, y[: word.size])
        if cross <= 0:
            return None
        scale = float(np.float32(energy / cross if self.unbiased else cross / word.size))
        own += norms.sum_of_squares(y[word.size :])
        length = scale * math.sqrt(word.size)
        distance = math.sqrt(max(own - 2 * scale * cross + length**2, 0.0))
        if not self._is_near(distance, length, energy, header):  # too close to say
            held = header.rounded(self._turned_back(signs, word.size, scale, header, attempt))
            if norms.sum_of_squares(held - x) > self.guarantee(x.size).level * energy:
                return None
        return scale, word

    def _is_near(self, distance: float, length: float, energy: float, header: Header) -> bool:
        """Whether the guarantee surely holds where the rotated word, of that length, is so near.

        It is where the receiver holds what was computed, and rounding in both rotations adds little
        enough. (The sums are in float64, whose rounding is far below that of float32.)
        """
        if not header.is_exact:
            return False
        rounding = 1.01 * roundoff(header.d, header.working_dtype, self._kind())
        far = distance + rounding * (math.sqrt(energy) + length)
        return far**2 <= self.guarantee(header.d).level * energy * (1 - 1e-9)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("scale")
        scale = codes.read_positive_float(reader)
        if scale == 0:
            return np.zeros(header.d, header.working_dtype)
        reader.label("attempt")
        attempt = 0
        while attempt < _ATTEMPTS and reader.read_uint(1):
            attempt += 1
        if attempt == _ATTEMPTS:
            return self._read_exponents(reader, scale, header)
        word = _read_word(reader, Layout(header.d, self.alpha), self.states)
        return self._turned_back(word.signs(header.shared_nonce), word.size, scale, header, attempt)

    def _kind(self) -> Rotation:
        return Rotation(rounds=3 if self.unbiased else 0, portable=True)

    def _rotated(self, x: NDArray[Any], header: Header, attempt: int) -> NDArray[Any]:
        return rotate(x, _nonce(header, attempt), self._kind())

    def _turned_back(
        self, signs: NDArray[np.uint64], size: int, scale: float, header: Header, attempt: int
    ) -> NDArray[Any]:
        """R^T of the scaled word: what is decoded."""
        values = np.zeros(header.d, header.working_dtype)
        multiply(signs, scale, values[:size])
        return unrotate(values, _nonce(header, attempt), True, self._kind())

    def _write_exponents(
        self, x: NDArray[Any], energy: float, writer: BitWriter, header: Header
    ) -> None:
        """Signs and exponents of the rotated coordinates: an error of at most 1/9."""
        fields = self._rotated(x, header, _ATTEMPTS).astype(np.float32).view(np.uint32)
        fields >>= np.uint32(23)
        values = _of_exponents(fields)
        cross = math.fsum(values * self._rotated(x, header, _ATTEMPTS).astype(np.float64))
        scale = energy / cross if self.unbiased else cross / norms.sum_of_squares(values)
        codes.write_positive_float(writer, float(np.float32(scale)))
        writer.write_uint((1 << _ATTEMPTS) - 1, _ATTEMPTS)
        writer.write_uints(fields.astype(np.uint64), 9)

    def _read_exponents(self, reader: BitReader, scale: float, header: Header) -> NDArray[Any]:
        reader.label("signs and exponents")
        values = scale * _of_exponents(reader.read_uints(header.d, 9, "uint32"))
        values = values.astype(header.working_dtype)
        return unrotate(values, _nonce(header, _ATTEMPTS), True, self._kind())


def _of_exponents(fields: NDArray[np.uint32]) -> NDArray[np.float64]:
    """+- 4/3 of the power of two; 0 for the exponent 0."""
    exponents = (fields & 0xFF).astype(np.int64)
    if np.any(exponents == 255):
        raise FormatError("an exponent is 255, which no finite coordinate has")
    powers = np.where(exponents > 0, np.ldexp(4 / 3, exponents - 127), 0.0)
    return np.where(fields >> 8 & 1, -powers, powers)


@lru_cache(maxsize=256)
def _measured_bits(compressor: ConvolutionalCompression, d: int) -> float:
    """Mean payload bits on normal vectors with fixed seeds, the more the shorter they are."""
    rng = np.random.default_rng(d)
    count = min(max(100_000 // d, 6), 200)
    bits = [
        compressor.encode(rng.standard_normal(d, dtype=np.float32), rng).bits for _ in range(count)
    ]
    return float(np.mean(bits) + 2 * np.std(bits, ddof=1) / math.sqrt(count))


def _nonce(header: Header, attempt: int) -> int:
    """The nonce of the rotation of an attempt; the first is the message's own."""
    if not attempt:
        return header.shared_nonce
    return int(random_streams.words(header.shared_nonce, Tag.ATTEMPTS, attempt, 1)[0])


def _write_word(writer: BitWriter, word: Word) -> None:
    """The steps of the segments, the candidates, and the bits of each step."""
    layout = word.layout
    writer.write_uint(word.steps[0] - 1, ceil_log2(layout.segments[0]))
    differences = np.diff(word.steps)
    differences[:-1] //= 2  # all but the last number are even
    codes.write_rice(writer, np.abs(2 * differences) - (differences < 0), _DIFFERENCE_BITS)
    width = ceil_log2(layout.candidates)
    for candidate in word.chosen.tolist():
        writer.write_uint(candidate, width)
    writer.write_uints(word.bits, layout.sequences)


def _read_word(reader: BitReader, layout: Layout, states: int) -> Word:
    """Inverse of ``_write_word``. Raises FormatError before it allocates more than x takes."""
    reader.label("steps")
    steps = [reader.read_uint(ceil_log2(layout.segments[0])) + 1]
    numbers = codes.read_rice(reader, len(layout.segments) - 1, _DIFFERENCE_BITS).tolist()
    for i, number in enumerate(numbers):
        difference = -(number + 1 >> 1) if number & 1 else number >> 1
        steps.append(steps[-1] + (difference if i == len(numbers) - 1 else 2 * difference))
    for count, rows in zip(steps, layout.segments, strict=True):
        least = -(-rows // LONGEST) if len(steps) > 1 else 1
        if not least <= count <= rows:
            raise FormatError(f"{count} steps in a segment of {rows} rows")
    reader.label("candidates")
    width = ceil_log2(layout.candidates)
    chosen = np.array([reader.read_uint(width) for _ in range(layout.sequences)], np.int64)
    reader.label("bits of the code word")
    bits = reader.read_uints(sum(steps), layout.sequences)
    return Word(layout, states, steps, chosen, bits)
