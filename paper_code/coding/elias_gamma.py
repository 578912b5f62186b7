"""Elias' gamma code, and in it few small integers among many zeros: how QSGD sends its levels."""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.compiled import ONE, kernel
from .bits import BitReader, BitWriter, FormatError, ceil_log2
from .words import get, leading_zeros, put

_MOST_ZEROS = 48


def write_gamma(writer: BitWriter, value: int) -> None:
    """Elias gamma code of ``value`` >= 1: 2 floor(log2 value) + 1 bits."""
    writer.write_uint(value, 2 * value.bit_length() - 1)


def read_gamma(reader: BitReader) -> int:
    """Read an Elias gamma code. Raises FormatError for more than 48 leading zeros."""
    value, position = get_gamma(reader.words, reader.position, reader.end)
    if position < 0:
        raise FormatError(
            f"payload does not hold an Elias gamma code of {_MOST_ZEROS} leading zeros at most"
        )
    reader.position = position
    return value


def write_levels(writer: BitWriter, levels: NDArray[np.signedinteger], nonzero: int) -> None:
    """Write how many levels are not zero (1 to d), then of each its gap, sign and magnitude.

    The gap is the distance to the one before. Gap and magnitude n take 2 floor(log2 n) + 1 bits:
    floor(log2 n) zeros, then n itself.

    >>> writer = BitWriter()
    >>> write_levels(writer, np.array([0, -3, 0, 0], np.int32), nonzero=1)
    >>> writer.bits, f"{writer.getvalue()[0]:08b}{writer.getvalue()[1]:08b}"[:9]  # 00 010 1 011
    (9, '000101011')
    """
    writer.write_uint(nonzero - 1, ceil_log2(levels.size))
    room = _levels_bits(levels)
    _put_levels(writer.reserve(room), writer.bits, levels)
    writer.bits += room


def read_levels(
    reader: BitReader, d: int, largest: int, unit: float = 1.0, dtype: type[np.number] = np.int32
) -> NDArray[Any]:
    """Read d levels of at most ``largest``, times ``unit``, into an array of type ``dtype``.

    Raises FormatError where they are not such.
    """
    nonzero = reader.read_uint(ceil_log2(d)) + 1
    values = np.zeros(d, dtype)
    position = _get_levels(
        reader.words, reader.position, reader.end, nonzero, largest, unit, values
    )
    if position < 0:
        raise FormatError(
            f"payload does not hold {nonzero} levels of 1 to {largest} among {d} coordinates"
        )
    reader.position = position
    return values


def levels_bits_bound(d: int, total: float) -> float:
    """Bits that ``write_levels`` needs at most for d levels of sum |level| at most ``total``.

    n levels that are not zero take 3 n + 2 n log2(d/n) + 2 n log2(total/n) bits at most, because
    log2 is concave; the largest is at n = 2^(3/4) sqrt(d total) / e or at the end of the range.
    The bound is concave in n and the sum together: it bounds the mean bits for a mean sum too.
    """
    n = min(2**0.75 / math.e * math.sqrt(d * total), d, total)
    return ceil_log2(d) + n * (3 + 2 * math.log2(d * total / n**2))


@kernel
def put_gamma(words, position, value):
    """Write ``value`` >= 1; return the new position."""
    width = _gamma_width(value)
    put(words, position, np.uint64(value), width)
    return position + width


@kernel
def get_gamma(words, position, end):
    """A number and the position behind it, which is -1 where there is none or ``position`` is."""
    window = get(words, position, 64) if 0 <= position < end else np.uint64(0)
    zeros = np.int64(leading_zeros(window))
    after = position + 2 * zeros + 1
    if zeros > _MOST_ZEROS or after > end:
        return 0, -1
    return np.int64(get(words, position + zeros, zeros + 1)), after


@kernel
def _gamma_width(number):
    return 127 - 2 * np.int64(leading_zeros(np.uint64(number)))


@kernel
def _levels_bits(levels):
    bits, before = 0, -1
    for i in range(levels.size):
        if levels[i] != 0:
            bits += _gamma_width(i - before) + 1 + _gamma_width(abs(np.int64(levels[i])))
            before = i
    return bits


@kernel
def _put_levels(words, position, levels):
    before = -1
    for i in range(levels.size):
        if levels[i] != 0:
            gap, magnitude = np.uint64(i - before), np.uint64(abs(np.int64(levels[i])))
            width = _gamma_width(gap) + 1  # the sign rides behind the gap
            put(words, position, gap << ONE | np.uint64(levels[i] < 0), width)
            position = put_gamma(words, position + width, magnitude)
            before = i


@kernel
def _get_levels(words, position, end, nonzero, largest, unit, values):
    """Set the values; return the position behind them, or -1 where they are malformed.

    A number below 2^32 lies within the 64 bits from where it begins; after a sign, within 63.
    """
    place = -1
    for _ in range(nonzero):
        window = get(words, position, 64) if position < end else np.uint64(0)
        zeros = np.int64(leading_zeros(window))
        place += np.int64(window >> np.uint64(63 - 2 * zeros & 63))
        position += 2 * zeros + 1
        if zeros > 31 or position >= end or place >= values.size:
            return -1
        window = get(words, position, 64)
        negative = window >> np.uint64(63)
        window <<= ONE
        zeros = np.int64(leading_zeros(window))
        magnitude = np.int64(window >> np.uint64(63 - 2 * zeros & 63))
        position += 2 * zeros + 2
        if zeros > 31 or position > end or magnitude > largest:
            return -1
        value = unit * np.float64(magnitude)
        values[place] = -value if negative else value
    return position
