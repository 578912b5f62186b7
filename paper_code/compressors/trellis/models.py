"""Models of a path's symbols: one row for each class of states, sent as a histogram or as a shape.

A shape is that of normal or Laplace tails (9 bits); each class then has odds of zero (9 bits). From
counted symbols there are also the rates that the search works with: a + b |n| + c n^2.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...coding import alphabet, histogram
from ...coding.bits import BitReader, BitWriter, FormatError
from ...coding.models import SCALES, SHAPE_BITS, bell
from ...coding.rans import SYMBOLS
from ...numerics.compiled import kernel
from .search import NEVER, ROWS, UNIT
from .stretches import CLASSES, ESCAPE

_LEVELS = ESCAPE // 2  # with symbols of their own
_ODDS_BITS = 9
LEAST_BITS = SHAPE_BITS + 7 + CLASSES * _ODDS_BITS + 1
"""Of any model but those of very few symbols."""
_LEVEL = np.arange(1, _LEVELS + 1)
_INTEGERS = (2 * _LEVEL, 2 * _LEVEL, 2 * _LEVEL - 1)
"""|n| of the levels 1, 2, ... of each class."""


def write_model(writer: BitWriter, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write a model of symbols so often counted, the cheaper of both kinds; its weights."""
    exact = BitWriter()
    rounded = _write_histograms(exact, counts)
    shape = BitWriter()
    weights = _write_shape(shape, counts)
    if weights is not None and (
        bits_of(counts, weights) + shape.bits <= bits_of(counts, rounded) + exact.bits
    ):
        writer.write_uint(0, 1)
        writer.append(shape)
        return weights
    writer.write_uint(1, 1)
    writer.append(exact)
    return rounded


def read_model(reader: BitReader) -> NDArray[np.int64]:
    """Weights, CLASSES x SYMBOLS."""
    return _read_histograms(reader) if reader.read_uint(1) else _read_shape(reader)


def bits_of(counts: NDArray[np.int64], weights: NDArray[np.int64]) -> float:
    """Bits of symbols so often counted, without those of escaped levels; infinite if impossible."""
    return float(_bits(counts, weights))


@kernel
def _bits(counts, weights):
    bits = 0.0
    for row in range(counts.shape[0]):
        total = np.float64(weights[row].sum())
        for symbol in range(counts.shape[1]):
            if counts[row, symbol]:
                if not weights[row, symbol]:
                    return np.inf
                bits -= counts[row, symbol] * np.log2(weights[row, symbol] / total)
    return bits


def _write_histograms(writer: BitWriter, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each class the counts by level in order, then that of escapes."""
    rounded = np.zeros((CLASSES, SYMBOLS), np.int64)
    for row, out in zip(counts, rounded, strict=True):
        wide = np.zeros(alphabet.SYMBOLS, np.int64)
        wide[alphabet.REACH - _LEVELS : alphabet.REACH + _LEVELS + 2] = row[_IN_ORDER]
        seen = histogram.write_counts(writer, wide)
        out[_IN_ORDER] = seen[alphabet.REACH - _LEVELS : alphabet.REACH + _LEVELS + 2]
    return _never_empty(rounded)


def _read_histograms(reader: BitReader) -> NDArray[np.int64]:
    rounded = np.zeros((CLASSES, SYMBOLS), np.int64)
    for out in rounded:
        wide = histogram.read_counts(reader)
        first, end = alphabet.REACH - _LEVELS, alphabet.REACH + _LEVELS + 2
        if wide[:first].any() or wide[end:].any():
            raise FormatError(f"a model has levels beyond {_LEVELS}")
        out[_IN_ORDER] = wide[first:end]
    return _never_empty(rounded)


def _never_empty(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """A class that never occurs gets a zero, so that tables can be made."""
    weights[:, 0] += weights.sum(axis=1) == 0
    return weights


_IN_ORDER = np.array(
    [*range(2 * _LEVELS - 1, 0, -2), 0, *range(2, 2 * _LEVELS + 1, 2), ESCAPE], np.int64
)
"""Symbols of the levels from the least to the greatest, and the escape."""


def _write_shape(writer: BitWriter, counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Scale and kind of the tails, the largest level, of each class the odds of zero."""
    used = np.flatnonzero(counts.sum(axis=0))
    if not used.size or used[-1] == ESCAPE:
        return None
    largest = int(used[-1] + 1) // 2
    shape = _likeliest(counts)
    odds = [_odds_code(row, shape, c, largest) for c, row in enumerate(counts)]
    writer.write_uint(shape, SHAPE_BITS)
    writer.write_uint(largest, 7)
    for code in odds:
        writer.write_uint(code, _ODDS_BITS)
    return _shape_weights(shape, largest, *odds)


def _read_shape(reader: BitReader) -> NDArray[np.int64]:
    shape, largest = reader.read_uint(SHAPE_BITS), reader.read_uint(7)
    odds = [reader.read_uint(_ODDS_BITS) for _ in range(CLASSES)]
    return _shape_weights(shape, largest, *odds)


def _odds_code(row: NDArray[np.int64], shape: int, c: int, largest: int) -> int:
    """Sixteen for each octave of zero's odds, from 2^-16 on; 0 where there are none."""
    zeros, others = int(row[0]), int(row.sum() - row[0])
    if not zeros:
        return 0
    ratio = max(zeros / max(others, 0.5), 2.0**-15)
    octave = int(np.floor(np.log2(ratio)))
    code = 16 * (octave + 16) + round(16 * (ratio / 2.0**octave - 1))
    return min(code, (1 << _ODDS_BITS) - 1)


@lru_cache(maxsize=64)
def _shape_weights(shape: int, largest: int, *odds: int) -> NDArray[np.int64]:
    """At least 1 for each level up to the largest, both signs alike; zero by its odds."""
    weights = np.zeros((CLASSES, SYMBOLS), np.int64)
    tail = bell(shape, 2 * _LEVELS + 1)
    for c, code in enumerate(odds):
        half = np.maximum(tail[_INTEGERS[c][:largest]] >> 10, 1)
        weights[c, 2 : 2 * largest + 2 : 2] = half
        weights[c, 1 : 2 * largest : 2] = half
        total = 2 * int(half.sum()) or 1
        if code:
            octave, part = divmod(code, 16)
            weights[c, 0] = max(total * (16 + part) << octave >> 20, 1)
    return _never_empty(weights)


def _likeliest(counts: NDArray[np.int64]) -> int:
    """The shape under which the levels that are not zero cost least."""
    seen = counts[:, 1:ESCAPE]
    levels = seen[:, 0::2] + seen[:, 1::2]
    even, odd = levels[0] + levels[1], levels[2]
    return int(_cheapest_shape(even[:_LEVELS].astype(np.float64), odd[:_LEVELS].astype(np.float64)))


@kernel
def _cheapest_shape(even, odd):
    """Of normal and Laplace tails the best scale: the costs have one minimum along the scales."""
    top = 0
    for k in range(even.size):
        if even[k] or odd[k]:
            top = k + 1
    best, found = np.inf, 0
    for normal in range(2):
        low, high = 0, SCALES - 1
        while low < high:
            middle = (low + high) // 2
            here = _shape_cost(even, odd, top, middle, normal)
            after = _shape_cost(even, odd, top, middle + 1, normal)
            if here <= after:
                high = middle
            else:
                low = middle + 1
        cost = _shape_cost(even, odd, top, low, normal)
        if cost < best:
            best, found = cost, 2 * low + normal
    return found


@kernel
def _shape_cost(even, odd, top, scale, normal):
    """Nats of the levels given that they are not zero; -ln q = 2^(scale / 8 - 24) about."""
    rate = (1 + scale % 8 / 8.0) * 2.0 ** (scale // 8 - 24)
    cost, even_sum, odd_sum, even_count, odd_count = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(top):
        n = 2.0 * (k + 1)
        at_even, at_odd = (
            rate * (n * n if normal else n),
            rate * ((n - 1) ** 2 if normal else n - 1),
        )
        even_sum += np.exp(-at_even)
        odd_sum += np.exp(-at_odd)
        cost += even[k] * at_even + odd[k] * at_odd
        even_count += even[k]
        odd_count += odd[k]
    if even_count:
        cost += even_count * np.log(max(even_sum, 1e-300))
    if odd_count:
        cost += odd_count * np.log(max(odd_sum, 1e-300))
    return cost


def search_rates(counts: NDArray[np.int64], zeros: bool) -> NDArray[np.float32]:
    """Rates as ``Search`` takes them, ROWS of them, from counted symbols; ``zeros`` at odd states.

    State 0 is rare: its levels other than zero are taken to be spread as at the other even states.
    """
    rates = np.empty(ROWS, np.float32)
    _fit_rates(counts, zeros, rates)
    return rates


@kernel
def _fit_rates(counts, zeros, rates):
    seen, total = np.full((CLASSES, _LEVELS + 1), 0.1), 0.0
    for c in range(CLASSES):
        for symbol in range(SYMBOLS):
            seen[c, min((symbol + 1) >> 1, _LEVELS)] += counts[c, symbol]
            total += counts[c, symbol]
    if not zeros:
        seen[2, 0] = 0
    for c in range(CLASSES):
        row = seen[2] if c == 2 else seen[0] + seen[1]
        shares = row / row.sum()
        zero = shares[0]
        a, b, squared = _parabola(shares, c == 2, 2.5 / max(total, 1.0))
        if c < 2:
            zero = (seen[c, 0] + 8 * shares[0]) / (seen[c].sum() + 8)
            a += np.log2((1 - shares[0]) / (1 - zero))
        rates[4 * c] = -UNIT * np.log2(zero) if zero else NEVER
        rates[4 * c + 1], rates[4 * c + 2], rates[4 * c + 3] = UNIT * a, UNIT * b, UNIT * squared


@kernel
def _parabola(shares, odd, least):
    """a, b, c for which a + b n + c n^2 is near the bits of +n, by weighted least squares.

    Integers too rare to matter are left out; where c would be negative (heavy tails) it is a line.
    """
    powers, means, used = np.zeros(5), np.zeros(3), 0
    for level in range(1, shares.size):
        share, n = shares[level], 2.0 * level - odd
        if share > least or level <= 2:
            used += 1
            bits, power = min(1 - np.log2(share), 30.0), 1.0
            for k in range(5):
                powers[k] += share * power
                if k < 3:
                    means[k] += share * power * bits
                power *= n
    if used > 2:
        a, b, c = _solved(powers, means)
        if c >= 0:
            return a, b, c
    det = powers[0] * powers[2] - powers[1] * powers[1]
    if det <= 1e-9 * powers[0] * powers[2]:
        return means[0] / powers[0], 0.0, 0.0
    b = (powers[0] * means[1] - powers[1] * means[0]) / det
    return (means[0] - b * powers[1]) / powers[0], b, 0.0


@kernel
def _solved(p, m):
    """The parabola of those moments, about the mean of n; c = -1 where they do not tell one."""
    mean = p[1] / p[0]
    s2 = p[2] / p[0] - mean**2
    s3 = p[3] / p[0] - 3 * mean * p[2] / p[0] + 2 * mean**3
    s4 = p[4] / p[0] - 4 * mean * p[3] / p[0] + 6 * mean**2 * p[2] / p[0] - 3 * mean**4
    r0, r1 = m[0] / p[0], m[1] / p[0] - mean * m[0] / p[0]
    r2 = m[2] / p[0] - 2 * mean * m[1] / p[0] + mean**2 * m[0] / p[0]
    if s2 <= 0:
        return 0.0, 0.0, -1.0
    rest = s4 - s2 * s2 - s3 * s3 / s2
    if rest <= 1e-9 * s4:
        return 0.0, 0.0, -1.0
    c = (r2 - s2 * r0 - s3 * r1 / s2) / rest
    b = (r1 - c * s3) / s2
    a = r0 - c * s2
    return a - b * mean + c * mean**2, b - 2 * c * mean, c


def normal_rates(step: float, zeros: bool) -> NDArray[np.float32]:
    """Rates on a normal vector of unit variance, to start from."""
    counts = np.zeros((CLASSES, SYMBOLS))
    for c, n in enumerate(_INTEGERS):
        weights = np.exp(-((n * step) ** 2) / 2)
        counts[c, 2:ESCAPE:2] = counts[c, 1 : ESCAPE - 1 : 2] = weights
        counts[c, 0] = 1.0 if c < 2 else float(zeros) * 0.5
    return search_rates(np.rint(1e6 * counts).astype(np.int64), zeros)


def entropy(counts: NDArray[np.int64]) -> float:
    """Bits of the counted symbols under their own shares."""
    return bits_of(counts, counts)
