"""Random numbers that sender and receiver draw alike, from the nonce of a message.

Philox is counter-based: word number i costs the same for every i, and NumPy promises that its raw
words never change. The mapping from words to numbers is ours, for the same reason.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from enum import IntEnum
from functools import cache
from typing import overload

import numpy as np
from numpy.typing import NDArray

from .blocks import BLOCK

ALGORITHM = 1
"""Identifier of this generator and mapping in a frame: 1 is Philox4x64-10, key (nonce, tag)."""


class Tag(IntEnum):
    """Domain tags: what a message's nonce is used for. Different tags give independent numbers.

    They are part of the wire format: a new use takes a new tag. Two share one, and keep it because
    frames are for ever: no message has both uses, and no two messages the same nonce.
    """

    DIRECTIONS = 1  # of Spherical Compression, fresh for each message
    POOLED_DIRECTIONS = 2  # the same for all messages
    ROTATION = 1 << 16  # normals of a rotation of at most 64 coordinates
    ROTATION_SIGNS = (1 << 16) + 1  # of the first transform; those of the others have the next 5
    ATTEMPTS = (1 << 16) + 7  # the nonces of a convolutional encoder's further rotations
    CANDIDATE_SIGNS = (1 << 16) + 8  # of its candidates
    DITHER = 1 << 17  # of Subtractive and Correlated Dithering
    STRATA = (1 << 17) + 1  # which part of the dither's range is whose, in Correlated Dithering
    COORDINATES = 1 << 17  # the coordinates that RandK keeps


def words(nonce: int, tag: int, start: int, count: int) -> NDArray[np.uint64]:
    """Raw words start, ..., start + count - 1 of the stream for one use of one message's nonce.

    ``tag`` keeps the uses of a nonce apart, see ``Tag``. A block of four words is one step of the
    counter. Raises ValueError for a nonce that is not of 64 bits.

    >>> bool(np.all(words(7, 0, 5, 3) == words(7, 0, 0, 8)[5:]))
    True
    """
    if not isinstance(nonce, int) or nonce >> 64:
        raise ValueError(f"nonce is {nonce!r}; allowed are integers of 64 bits, 0 to 2**64 - 1")
    first = start // 4
    generator = np.random.Philox(key=[nonce, tag], counter=0).advance(first)
    skip = start - 4 * first
    return generator.random_raw(skip + count)[skip:]


def uniforms(nonce: int, tag: int, start: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), on the midpoints of a grid of 2^-52."""
    raw = words(nonce, tag, start, count) >> np.uint64(12)
    return (raw.astype(np.float64) + 0.5) * 2.0**-52


def normal_pairs(
    raw: NDArray[np.uint64], dtype: type[np.floating] = np.float64
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Two independent standard normals from each raw word, by Box and Muller.

    The high half of the word gives the radius, the low half, signed, the angle, both on the
    midpoints of a grid of 2^-32. With ``dtype`` float32 each is within 4e-7 of its radius of the
    float64 result, and twice as fast: the logarithm keeps float64, near 1 it would lose all digits.
    """
    uniform = ((raw >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    radius = np.sqrt(-2 * np.log(uniform)).astype(dtype, copy=False)
    angle = raw.astype(np.uint32).view(np.int32).astype(dtype)
    angle = (angle + dtype(0.5)) * dtype(2 * np.pi * 2.0**-32)
    return radius * np.cos(angle), radius * np.sin(angle)


@overload
def directions(nonce: int, tag: int, start: int, count: int, d: int) -> NDArray[np.float64]: ...
@overload
def directions(
    nonce: int, tag: int, start: int, count: int, d: int, fast: bool
) -> NDArray[np.floating]: ...
def directions(
    nonce: int, tag: int, start: int, count: int, d: int, fast: bool = False
) -> NDArray[np.floating]:
    """Directions start, ..., start + count - 1: uniform unit vectors, the columns of (d, count).

    Normals divided by their length; each direction takes ceil(d / 2) words. float64, or ``fast``
    ones in float32 that lie within 1e-6 of them.

    >>> bool(np.allclose(directions(7, 0, 5, 2, d=3), directions(7, 0, 0, 7, d=3)[:, 5:]))
    True
    """
    width = (d + 1) // 2
    raw = words(nonce, tag, start * width, count * width).reshape(count, width)
    # Half a pair may be much shorter than its radius, so that float32 knows few of its digits.
    dtype = np.float32 if fast and d % 2 == 0 else np.float64
    columns = np.empty((2 * width, count), dtype)
    columns[0::2], columns[1::2] = normal_pairs(np.ascontiguousarray(raw.T), dtype)
    columns = columns[:d]
    columns /= np.sqrt(np.einsum("ij,ij->j", columns, columns))
    return columns.astype(np.float32, copy=False) if fast else columns


@cache
def fingerprint() -> int:
    """32 bits that change if the generator or its mapping to words ever does."""
    return zlib.crc32(words(0x0123456789ABCDEF, 42, 3, 61).astype("<u8").tobytes())


_FEWEST = 1 << 12  # at a time: below, the calls would take longer than the work


def drawn(d: int, rng: np.random.Generator) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """A uniform number for each of d coordinates, in parts: they take no more memory than x."""
    size = min(max(-(-d // 2), _FEWEST), d, BLOCK)
    uniforms = np.empty(size)
    for start in range(0, d, size):
        part = slice(start, min(start + size, d))
        yield part, rng.random(out=uniforms[: part.stop - start])
