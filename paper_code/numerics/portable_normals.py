"""Standard normals that are the same on every machine to the last digit.

Logarithms and cosines differ between mathematical libraries in their last digit; sums, products,
quotients and square roots do not (IEEE 754), and compiled code keeps their order here.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel
from .random_streams import uniforms


def portable_normals(nonce: int, tag: int, count: int) -> NDArray[np.float64]:
    """``count`` standard normals of the stream of a nonce and a domain tag, by Box and Muller."""
    normals = np.empty(count + count % 2)
    _box_muller(uniforms(nonce, tag, 0, normals.size), normals)
    return normals[:count]


@kernel
def _logarithm(u):
    """ln u of 0 < u < 1 within 1e-15: 2 artanh((m - 1) / (m + 1)) + e ln 2 where u = m 2^e."""
    m, e = math.frexp(u)
    if m < 0.7071067811865476:
        m, e = 2 * m, e - 1
    s = (m - 1) / (m + 1)
    total = 0.0
    for k in range(21, 0, -2):
        total = total * (s * s) + 1.0 / k
    return 2 * s * total + e * 0.6931471805599453


@kernel
def _cosine_and_sine(turn):
    """Of 2 pi turn, 0 <= turn < 1, within 1e-15: Taylor's series on an eighth of a turn."""
    quarter = math.floor(4 * turn + 0.5)
    r = (turn - quarter / 4) * 6.283185307179586
    cosine, sine = 1.0, 1.0
    for k in range(18, 0, -2):
        cosine = 1 - cosine * (r * r) / (k * (k - 1))
        sine = 1 - sine * (r * r) / (k * (k + 1))
    sine *= r
    if quarter == 1:
        return -sine, cosine
    if quarter == 2:
        return -cosine, -sine
    if quarter == 3:
        return sine, -cosine
    return cosine, sine


@kernel
def _box_muller(uniforms, normals):
    """Each pair of uniform numbers becomes a pair of normals."""
    for i in range(0, normals.size, 2):
        radius = math.sqrt(-2 * _logarithm(uniforms[i]))
        cosine, sine = _cosine_and_sine(uniforms[i + 1])
        normals[i] = radius * cosine
        normals[i + 1] = radius * sine
