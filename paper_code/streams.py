"""Random numbers that sender and receiver draw alike, from the nonce of a message.

Philox is counter-based: word number i costs the same for every i, and NumPy promises that its raw
words never change. The mapping from words to numbers is ours, for the same reason.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

ALGORITHM = 1
"""Identifier of this generator and mapping in a frame: 1 is Philox4x64-10, key (nonce, purpose)."""


def words(nonce: int, purpose: int, start: int, count: int) -> NDArray[np.uint64]:
    """Raw words start, ..., start + count - 1 of the stream for one use of one message's nonce.

    ``purpose`` keeps the uses of a nonce apart (a rotation and a dither, say). A block of four
    words is one step of the counter.

    >>> bool(np.all(words(7, 0, 5, 3) == words(7, 0, 0, 8)[5:]))
    True
    """
    first = start // 4
    generator = np.random.Philox(key=[nonce, purpose], counter=0).advance(first)
    skip = start - 4 * first
    return generator.random_raw(skip + count)[skip:]


def uniforms(nonce: int, purpose: int, start: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), on the midpoints of a grid of 2^-52."""
    raw = words(nonce, purpose, start, count) >> np.uint64(12)
    return (raw.astype(np.float64) + 0.5) * 2.0**-52


def signs(nonce: int, purpose: int, count: int) -> NDArray[np.bool_]:
    """Fair random bits, 64 from each word."""
    raw = words(nonce, purpose, 0, -(-count // 64))
    return np.unpackbits(raw.astype("<u8").view(np.uint8), count=count).astype(np.bool_)


@cache
def fingerprint() -> int:
    """32 bits that change if the generator or its mapping to words ever does."""
    return zlib.crc32(words(0x0123456789ABCDEF, 42, 3, 61).astype("<u8").tobytes())
