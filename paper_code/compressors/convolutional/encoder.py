"""The shortest code word that comes as near to a rotated vector as alpha asks.

The error of the best multiple of a word s of n signs is 1 - <y, s>^2 / (n ||x||^2), so alpha is a
correlation to reach. Long vectors are 64 sequences, and the rows of a step follow from what is
still missing, segment by segment. Short ones are fewer sequences, as each loses some two steps at
its known first state; the other lanes try the same sequences with other signs, and the number of
the best is sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import ceil_log2
from ...numerics import random_streams
from ...numerics.compiled import ONE, kernel
from ...numerics.random_streams import Tag
from ...numerics.simd import LANES
from .codes import CORRELATION, LONGEST, generators, packed_signs, sign_words, step_begins
from .viterbi import Search

_AMPLITUDE, _CLIP = 32, 160
"""Standard deviation and largest magnitude of the integers that the search works on."""

_LOST = 2.5
"""Steps by which a sequence is worse than its length, because its first state is known."""

_GAINED = 0.08
"""Steps that the best of 2^k candidates saves, for each k and the root of all steps."""

_NEAR = 0.7  # steps by which a short word may be longer than it likely has to be

_SEQUENCE_BITS = 320  # that a sequence carries at least
_SEGMENTS = 16
"""At least, of long vectors; more where they have more than some 64 steps each."""
_FINISHES = 12  # times that the last segment is searched at most
_CODED_ALPHA = 0.98
"""Above this alpha only some of the rotated coordinates are coded, to this error."""
_FEWEST = 4096  # coordinates that are coded, if there are so many


@dataclass(frozen=True)
class Layout:
    """How d coordinates are dealt out to sequences and steps; both sides know it beforehand."""

    d: int
    alpha: float

    @cached_property
    def coded(self) -> int:
        """Rotated coordinates that the word has signs for, from the first on; others come as 0."""
        if self.alpha <= _CODED_ALPHA:
            return self.d
        share = math.ceil(self.d * ((1 - self.alpha) / (1 - _CODED_ALPHA)))
        return min(self.d, max(share, _FEWEST))

    @cached_property
    def enough(self) -> int:
        """Sequences of some 320 bits that there could be."""
        return int(self.d * (1 - self.alpha) / _SEQUENCE_BITS)

    @cached_property
    def sequences(self) -> int:
        """A power of two up to 64: coordinate i is in sequence i mod ``sequences``."""
        return min(1 << max(self.enough.bit_length() - 1, 0), LANES)

    @cached_property
    def candidates(self) -> int:
        """Variants of each sequence, with other signs, of which one is sent."""
        return LANES // self.sequences

    @cached_property
    def rows(self) -> int:
        """Coordinates of a sequence."""
        return -(-self.coded // self.sequences)

    @cached_property
    def segments(self) -> list[int]:
        """Rows of each part of the sequences that has its own number of steps."""
        count = max(_SEGMENTS, self.enough // 13) if self.sequences == LANES else 1
        ends = [self.rows * i // count for i in range(count + 1)]
        return [end - start for start, end in pairwise(ends)]

    def begins(self, steps: list[int]) -> NDArray[np.int64]:
        """The rows at which the steps begin, and the end."""
        parts, start = [], 0
        for rows, count in zip(self.segments, steps, strict=True):
            parts.append(start + step_begins(rows, count)[:-1])
            start += min(rows, LONGEST * count)
        return np.concatenate([*parts, [start]])


@dataclass(frozen=True)
class Word:
    """A code word."""

    layout: Layout
    states: int
    steps: list[int]
    """Of each segment."""
    chosen: NDArray[np.int64]
    """The candidate of each sequence."""
    bits: NDArray[np.uint64]
    """For each step a bit of each sequence, that of sequence i at place i."""

    @cached_property
    def size(self) -> int:
        """Signs that it has."""
        begins = self.layout.begins(self.steps)
        return min(int(begins[-1]) * self.layout.sequences, self.layout.coded)

    def signs(self, nonce: int) -> NDArray[np.uint64]:
        """64 signs in each word, bit 1 for a negative one: coordinate i at i mod 64."""
        layout = self.layout
        begins = layout.begins(self.steps)
        if layout.sequences == LANES:
            return sign_words(self.bits, begins, self.states)
        flips = _candidate_signs(nonce, int(begins[-1]))
        lanes = self.chosen * layout.sequences + np.arange(layout.sequences)
        return packed_signs(self.bits, begins, self.states, flips, lanes.astype(np.uint64))


def _candidate_signs(nonce: int, rows: int) -> NDArray[np.uint64]:
    """A word for each row: where bit i is 1, lane i takes the coordinate with its sign changed.

    Lane i works on sequence i mod sequences.
    """
    return random_streams.words(nonce, Tag.CANDIDATE_SIGNS, 0, rows)


def find(
    y: NDArray[Any], scale: float, layout: Layout, states: int, need: float, nonce: int
) -> Word | None:
    """A word with <y, s> >= need sqrt(n), n its size; None where the search finds none.

    ``scale`` times y has unit variance.
    """
    unit = scale * need / math.sqrt(layout.coded)  # correlation for each coordinate
    if layout.sequences == LANES:
        return _long(y, scale, layout, states, unit)
    return _short(y, scale, layout, states, unit, nonce)


def rows_for(states: int, correlation: float) -> float:
    """Mean rows of a step at which a code has this correlation with each normal coordinate.

    What a step gains is linear in its mean rows between whole numbers, as steps of both are mixed.
    Plain arithmetic, which is the same on every machine.
    """
    table = CORRELATION[states]
    wanted = 1e5 * correlation
    if wanted >= table[0]:
        return 1.0
    for rows in range(1, LONGEST):
        if wanted >= table[rows]:
            slope = (rows + 1) * table[rows] - rows * table[rows - 1]
            return rows * (table[rows - 1] - slope) / (wanted - slope)
    return float(LONGEST)


def _long(y: NDArray[Any], scale: float, layout: Layout, states: int, unit: float) -> Word:
    """One search; the number of steps of each segment follows from what is missing."""
    amplitude = _amplitude(unit)
    target = math.ceil(_raised(amplitude * unit * LANES * layout.rows, amplitude))
    longest = min(math.ceil(rows_for(states, unit)) + 2, LONGEST)
    search = Search(generators(states), longest, _room(layout, states, longest - 2))
    steps: list[int] = []
    start = 0
    for i, rows in enumerate(layout.segments):
        part = np.empty(rows * LANES, np.int16)
        _quantise(y[start * LANES : (start + rows) * LANES], scale * amplitude, _CLIP, part)
        left = amplitude * LANES * (layout.rows - start)
        wanted = rows / rows_for(states, (target - int(search.total.sum())) / left)
        count = math.ceil(wanted + (_LOST if i == 0 else 0))
        count = min(max(count, -(-rows // longest)), rows)
        if i == len(layout.segments) - 1:
            count = _finish(search, part, rows, count, target)
        else:
            count += 0 if count % 2 == 0 else 1 if count < rows else -1
            search.advance(part, step_begins(rows, count))
        steps.append(count)
        start += rows
    return Word(layout, states, steps, np.zeros(LANES, np.int64), search.trace()[: sum(steps)])


def _room(layout: Layout, states: int, shortest: int) -> int:
    """Steps whose decisions are kept, 8 ``states`` bytes for each.

    All, if these are less than 0.6 times the vector's memory or few. (With more than 1024 states
    memory gives way to speed: taking steps again costs more than it saves.)
    """
    everything = layout.rows // shortest + layout.rows // (8 * shortest)
    return min(everything, max(3 * layout.d // (10 * states), 256 if states <= 1024 else 576))


def _finish(search: Search, x: NDArray[np.int16], rows: int, count: int, target: int) -> int:
    """The last segment, with more steps until the target is met; returns how many."""
    mark = search.mark(count + _FINISHES + 1)
    for more in range(_FINISHES):
        search.advance(x, step_begins(rows, min(count + more, rows)))
        if search.total.sum() >= target:
            break
        if more < _FINISHES - 1:
            search.go_back(mark)
    return min(count + more, rows)


def _short(
    y: NDArray[Any], scale: float, layout: Layout, states: int, unit: float, nonce: int
) -> Word | None:
    """Searches with various numbers of steps, between one too few and one that is enough."""
    amplitude, rows, width = _amplitude(unit), layout.rows, layout.sequences
    levels = np.zeros(rows * width, np.int16)
    _quantise(y[: layout.coded], scale * amplitude, _CLIP, levels)
    x = np.empty(rows * LANES, np.int16)
    _spread_candidates(levels, _candidate_signs(nonce, rows), width, x)
    best, low, high = None, 0, rows + 1
    likely = rows / rows_for(states, unit)
    likely -= _GAINED * math.sqrt(likely) * ceil_log2(layout.candidates)
    steps = min(max(math.ceil(likely), 1), rows)
    while high - low > 1 + high // 400:
        begins = step_begins(rows, steps)
        size = min(int(begins[-1]) * width, layout.coded)
        target = _raised(amplitude * unit * math.sqrt(size * layout.coded), amplitude)
        search = Search(generators(states), int(np.diff(begins).max()), steps)
        search.advance(x, begins)
        reached = int(search.total.reshape(-1, width).max(axis=0).sum())
        ratio = target / max(reached, target / 4)
        likely = steps * ratio * ratio  # at a low rate the squared correlation is as the bits
        if reached >= target:
            best, high = (search, steps), steps
            if likely > steps - _NEAR:
                break
        else:
            low = steps
        steps = min(max(math.ceil(likely), low + 1), high - 1)
    return Word(layout, states, [best[1]], *_chosen(*best, width)) if best else None


def _chosen(search: Search, steps: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The best candidate of each sequence, and their bits."""
    words = search.trace()[:steps]
    best = search.total.reshape(-1, width).argmax(axis=0)
    bits = np.zeros(steps, np.uint64)
    for i, lane in enumerate(best * width + np.arange(width)):
        bits |= (words >> np.uint64(lane) & ONE) << np.uint64(i)
    return best, bits


def _raised(target: float, amplitude: float) -> float:
    """A correlation with rounded coordinates that leaves ``target`` with the true ones.

    Rounding adds a variance of 1/12, to which the word adapts as it does to the coordinates.
    """
    return target * (1 + 1 / (12 * amplitude**2))


def _amplitude(unit: float) -> float:
    """Standard deviation of the integers: less where steps are long, lest their sums overflow."""
    return _AMPLITUDE * min(1.0, 4 * unit)


@kernel
def _quantise(y, factor, clip, levels):  # noqa: ANN001, ANN202
    """Round factor * y to integers of at most ``clip``, ties up; zeros behind the end of y."""
    factor, most = y.dtype.type(factor), y.dtype.type(clip)
    half = y.dtype.type(4096.5)
    for i in range(y.size):
        value = min(max(y[i] * factor, -most), most)
        levels[i] = np.int16(np.int32(value + half) - np.int32(4096))
    for i in range(y.size, levels.size):
        levels[i] = 0


@kernel
def _spread_candidates(levels, flips, width, x):  # noqa: ANN001, ANN202
    """Every sequence in 64 / width lanes, each with signs of its own."""
    for r in range(flips.size):
        for i in range(64):
            level = levels[r * width + i % width]
            x[r * 64 + i] = -level if flips[r] >> np.uint64(i) & ONE else level


@kernel
def multiply(signs, scale, values):  # noqa: ANN001, ANN201
    """values = +- scale."""
    positive = values.dtype.type(scale)
    whole = values.size & ~63
    for start in range(0, whole, 64):
        word, part = signs[start >> 6], values[start : start + 64]
        for i in range(64):
            part[i] = -positive if word >> np.uint64(i) & ONE else positive
    for i in range(whole, values.size):
        values[i] = -positive if signs[i >> 6] >> np.uint64(i & 63) & ONE else positive


@kernel
def correlation(signs, y):  # noqa: ANN001, ANN201
    """<y, s> and ||y||^2: 64 sums in float64 side by side, always added in the same order."""
    cross, own = np.zeros(64), np.zeros(64)
    whole = y.size & ~63
    for start in range(0, whole, 64):
        word, part = signs[start >> 6], y[start : start + 64]
        for i in range(64):
            value = np.float64(part[i])
            cross[i] += -value if word >> np.uint64(i) & ONE else value
            own[i] += value * value
    for i in range(whole, y.size):
        value = np.float64(y[i])
        cross[0] += -value if signs[i >> 6] >> np.uint64(i & 63) & ONE else value
        own[0] += value * value
    for i in range(1, 64):
        cross[0] += cross[i]
        own[0] += own[i]
    return cross[0], own[0]
