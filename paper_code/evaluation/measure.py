"""Error, bias and bits of a compressor, measured on real messages, each with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compressors.contract import Compressor
from ..messages.message import decode


class Mean(NamedTuple):
    """A sample mean and its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, samples: ArrayLike) -> Mean:
        """Mean of independent samples; the standard error of a single one is 0."""
        samples = np.asarray(samples, np.float64)
        spread = samples.std(ddof=1) / math.sqrt(samples.size) if samples.size > 1 else 0.0
        return cls(float(samples.mean()), float(spread))


@dataclass(frozen=True)
class Measurement:
    """What ``repeats`` messages of one compressor showed, on vectors of d coordinates.

    ``distortion`` is ||C(x) - x||^2 / ||x||^2 and ``worst_distortion`` its maximum; ``bits`` are
    payload bits a message, ``frame_bits`` those of the whole frame.
    """

    d: int
    distortion: Mean
    worst_distortion: float
    bits: Mean
    most_bits: int
    frame_bits: Mean

    @property
    def rate(self) -> float:
        """Payload bits per coordinate."""
        return self.bits.value / self.d

    @property
    def gap(self) -> float:
        """Bits per coordinate above the uncertainty bound at the measured distortion."""
        return self.rate + 0.5 * math.log2(self.distortion.value)


def distortion(x: NDArray[Any], held: NDArray[Any]) -> float:
    """Relative squared error ||held - x||^2 / ||x||^2, in float64.

    >>> distortion(np.array([3.0, 4.0]), np.array([3.0, 0.0]))
    0.64
    """
    wide = np.asarray(x, np.float64)
    power = float(np.sum(wide**2))
    error = float(np.sum((np.asarray(held, np.float64) - wide) ** 2))
    return error / power if power else float(error > 0)


def measure(
    compressor: Compressor, xs: NDArray[Any], rng: np.random.Generator | None = None
) -> Measurement:
    """Send every row of ``xs``, shape (repeats, d), as bytes, and decode what arrives."""
    errors, bits, frames = [], [], []
    for x in xs:
        message = compressor.encode(x, rng)
        frame = message.to_bytes()
        errors.append(distortion(x, decode(frame)))
        bits.append(message.bits)
        frames.append(8 * len(frame))
    return Measurement(
        d=xs.shape[1],
        distortion=Mean.of(errors),
        worst_distortion=max(errors),
        bits=Mean.of(bits),
        most_bits=max(bits),
        frame_bits=Mean.of(frames),
    )


def bias_ratio(
    compressor: Compressor, x: NDArray[Any], repeats: int, rng: np.random.Generator
) -> float:
    """Squared distance of the mean of ``repeats`` messages from x, over what chance alone gives.

    Chance gives the total sample variance / repeats. The ratio is 1 in the mean for an unbiased
    compressor, and grows with ``repeats`` for a biased one; infinite where it is deterministic.
    Raises ValueError for fewer than 2 repeats.
    """
    if repeats < 2:
        raise ValueError(f"repeats is {repeats}; a variance needs at least 2")
    total = np.zeros(x.size)
    squares = 0.0
    for _ in range(repeats):
        error = compressor(x, rng).astype(np.float64) - x
        total += error
        squares += float(error @ error)
    mean = total / repeats
    off = float(mean @ mean)
    variance = (squares / repeats - off) * repeats / (repeats - 1)
    if variance <= 1e-9 * off:  # deterministic: what is left is the rounding of the sums
        return math.inf if off else 1.0
    return off / (variance / repeats)


def costliest(
    compressor: Compressor, start: NDArray[np.float64], rounds: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Adversarial search: hill climb over directions, keeping what costs no fewer bits.

    A step gives a few coordinates the magnitude of others, slightly changed, or zero: so that many
    come to lie just above the threshold of a level. Returns the costliest vector found.
    """
    best, most = start, compressor.encode(start, rng).bits
    for _ in range(rounds):
        x = best.copy()
        some = rng.integers(x.size, size=rng.integers(1, 3 + x.size // 50))
        model = rng.integers(x.size, size=some.size)
        x[some] = x[model] * np.exp(0.05 * rng.standard_normal(some.size))
        x[some[rng.random(some.size) < 0.1]] = 0.0
        bits = compressor.encode(x, rng).bits
        if bits >= most:
            best, most = x, bits
    return best
