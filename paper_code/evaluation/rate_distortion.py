"""Where a compressor stands on the plane of bits per coordinate and distortion, under the bound."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import bounds
from ..compressors.contract import Compressor
from ..messages.settings import told
from .measure import Mean, measure

GREEK = {"alpha": "α", "nu": "ν", "omega": "ω"}


class Point(NamedTuple):
    """Bits per coordinate and distortion, each with its standard error (0 where promised).

    An unbiased compressor C is placed by what it is as a contractive one: C / (1 + omega), of
    distortion omega / (1 + omega), which is the least over all factors. Source: paper.
    """

    rate: Mean
    distortion: Mean


def measured(compressor: Compressor, xs: NDArray[Any], rng: np.random.Generator) -> Point:
    """The mean over real messages, one for every row of ``xs``, shape (messages, d)."""
    seen = measure(compressor, xs, rng)
    rate = Mean(seen.bits.value / seen.d, seen.bits.error / seen.d)
    variance, error = seen.distortion
    if not compressor.guarantee(seen.d).is_unbiased:
        return Point(rate, seen.distortion)
    return Point(rate, Mean(variance / (1 + variance), error / (1 + variance) ** 2))


def promised(compressor: Compressor, d: int) -> Point:
    """What holds for every float32 vector: its guarantee, and bits that no mean exceeds."""
    bits = compressor.expected_bits(d) - 32 * compressor.plain_values(d)
    return Point(Mean(bits / d, 0.0), Mean(compressor.guarantee(d).alpha, 0.0))


def gap(point: Point, d: int) -> float:
    """Bits per coordinate above -log2 P(alpha, d) / d; NaN where the distortion is 0.

    Nothing is lost by a compressor that counts on float32's finite alphabet, or on zeros: the
    bound, infinite there, is about all real vectors.
    """
    alpha = point.distortion.value
    return point.rate.value - bounds.average_case_bits(alpha, d) / d if alpha else math.nan


def setting(compressor: Compressor) -> str:
    """Its numbers, as a label; nu is omega where rounding is random.

    >>> from paper_code import SparseDithering, TopK
    >>> setting(TopK(k=100)), setting(SparseDithering(nu=0.1, unbiased=True))
    ('k = 100', 'ω = 0.1')
    """
    values = told(compressor)
    greek = GREEK | ({"nu": "ω"} if values.get("unbiased") else {})
    numbers = [(name, value) for name, value in values.items() if type(value) in (int, float)]
    return ", ".join(f"{greek.get(name, name)} = {value:g}" for name, value in numbers)
