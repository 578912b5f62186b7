"""When compression pays: seconds of an averaging step, and the network speed below which it wins.

Assumptions, of both sides alike: every worker has a link of ``bandwidth`` bits a second each way,
used in full and by nobody else; a message costs ``latency`` seconds besides; sending does not
overlap with computing, and the computing of gradients is left out. The uncompressed side is a ring
all-reduce of float32; the compressed one is ``ddp.hook`` in two stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOAT_BITS = 32
_REDUCE_MESSAGES = 2  # of a ring for each other worker: one of the sum, one of the result
_HOOK_MESSAGES = 5  # for each other worker: two of frames, three of headers
_HEADER_BITS = 3 * 64


@dataclass(frozen=True)
class Codec:
    """A compressor as the model sees it: payload bits a coordinate, coordinates a second.

    Raises ValueError for numbers that are not positive.
    """

    bits: float
    encode_speed: float
    decode_speed: float

    def __post_init__(self) -> None:
        for name in ("bits", "encode_speed", "decode_speed"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")

    def seconds(self, d: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
        """Encoding and decoding of one step of d coordinates on each of n workers.

        Encoded are the others' chunks and the mean of the own one, d coordinates; decoded the
        others' messages of the own chunk and the means of theirs, each (n - 1) d / n: what its own
        messages decode to, their encoder knows.
        """
        d, n = np.asarray(d, float), np.asarray(n, float)
        decoded = 2 * d * (n - 1) / n
        return d / self.encode_speed + decoded / self.decode_speed


def averaging_seconds(
    d: ArrayLike, n: ArrayLike, bandwidth: ArrayLike, latency: float, codec: Codec | None = None
) -> NDArray[np.float64]:
    """Seconds to average d coordinates of n workers over links of ``bandwidth`` bits a second.

    Without ``codec`` a ring all-reduce of float32. Shapes broadcast. Raises ValueError as
    ``break_even`` does, and for a bandwidth that is not positive.

    >>> float(averaging_seconds(1e6, 2, bandwidth=32e6, latency=0))  # 32 bits a coordinate
    1.0
    """
    d, n = _checked(d, n)
    bandwidth = np.asarray(bandwidth, float)
    if not np.all(bandwidth > 0):
        raise ValueError(f"bandwidth is {bandwidth}; it must be positive")
    if codec is None:
        return _share(n) * FLOAT_BITS * d / bandwidth + _REDUCE_MESSAGES * (n - 1) * latency
    waits = _HOOK_MESSAGES * (n - 1) * latency
    return _sent(d, n, codec) / bandwidth + waits + codec.seconds(d, n)


def break_even(
    d: ArrayLike, n: ArrayLike, latency: float, codec: Codec, rounds: float = 1.0
) -> NDArray[np.float64]:
    """Bits a second of a link at which both need the same time; below, compression is faster.

    ``rounds`` is how many times more steps compression needs for the same progress (1 / (1 - alpha)
    at worst in the paper's theory). Zero where compression does not save a bit. Shapes broadcast.
    Raises ValueError for n < 2, d < 1 or rounds < 1.

    >>> codec = Codec(bits=2, encode_speed=1e8, decode_speed=2e8)
    >>> round(float(break_even(1e9, 2, 0, codec)))  # saved: 30 bits in 1/1e8 + 1/2e8 seconds
    1999999987
    """
    d, n = _checked(d, n)
    if not rounds >= 1:
        raise ValueError(f"rounds is {rounds}; at least 1 is needed")
    saved = np.maximum(_share(n) * FLOAT_BITS * d - rounds * _sent(d, n, codec), 0)
    waits = (rounds * _HOOK_MESSAGES - _REDUCE_MESSAGES) * (n - 1) * latency
    return saved / (waits + rounds * codec.seconds(d, n))


def _checked(d: ArrayLike, n: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    d, n = np.asarray(d, float), np.asarray(n, float)
    if not (np.all(d >= 1) and np.all(n >= 2)):
        raise ValueError(f"need d >= 1 and n >= 2, got {d} and {n}")
    return d, n


def _sent(d: NDArray[np.float64], n: NDArray[np.float64], codec: Codec) -> NDArray[np.float64]:
    """Bits that a worker sends: its messages and their headers."""
    return _share(n) * codec.bits * d + (n - 1) * _HEADER_BITS


def _share(n: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * (n - 1) / n
