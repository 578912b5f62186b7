"""Random rotations that sender and receiver draw alike: they make every vector look Gaussian.

Up to 64 coordinates the rotation is uniform over all (Haar), so that no direction is special.
Beyond, a randomised Hadamard transform stands in for it at d log d additions. One round of random
signs is not enough: a vector such as (2, 1, 0, ...) meets only a few patterns, and a quantiser that
is unbiased under the uniform rotation comes back with a bias of up to half its norm. Two rounds
leave about 2/d of the norm, three nothing that 8000 messages show at d = 96 to 256. So there are
three rounds while d is small and they are cheap, two from where 2/d no longer matters.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from .compiled import ONE, kernel
from .portable_normals import portable_normals
from .random_streams import Tag, uniforms, words
from .simd import FLOATS, add, hadamard, load, store, subtract

Float = TypeVar("Float", bound=np.floating)

HAAR_DIM = 64
"""Up to this many coordinates the rotation is exactly uniform; it costs d (d + 1) / 2 normals."""

_THREE_ROUNDS_DIM = 1 << 12  # up to this many coordinates
_CACHED = 1 << 12  # coordinates that are transformed together while they are in the nearest cache
_NEAR = 256  # coordinates between rows of which sixteen are taken together


class Rotation(NamedTuple):
    """Which rotation a scheme draws: the default, or what a newer wire format chose.

    ``rounds`` of the Hadamard transform, 0 for three up to d = 4096 and two beyond. ``portable``:
    the uniform rotation of short vectors is the same on every machine to the last digit (the other
    draws its normals with the logarithm and cosine that the machine has).
    """

    rounds: int = 0
    portable: bool = False


_FIRST = Rotation()


def rotate(x: NDArray[Float], nonce: int, kind: Rotation = _FIRST) -> NDArray[Float]:
    """The random rotation of one message, applied to a vector of d coordinates.

    A new array of the dtype of ``x`` (float32 or float64); its norm is that of ``x`` up to
    rounding. ``nonce`` has 64 bits.

    >>> y = rotate(np.array([3.0, -4.0, 0.0]), nonce=7)
    >>> round(float(np.linalg.norm(y)), 12)
    5.0
    >>> unrotate(y, nonce=7).round(12) + 0.0
    array([ 3., -4.,  0.])
    """
    if x.size <= HAAR_DIM:
        return _haar(x, nonce, kind.portable, inverse=False)
    return _hadamard(x, nonce, kind.rounds or _rounds(x.size))


def unrotate(
    y: NDArray[Float], nonce: int, overwrite: bool = False, kind: Rotation = _FIRST
) -> NDArray[Float]:
    """The inverse of ``rotate``, up to rounding; it may ``overwrite`` y, which saves a copy."""
    if y.size <= HAAR_DIM:
        return _haar(y, nonce, kind.portable, inverse=True)
    return _inverse_hadamard(y if overwrite else y.copy(), nonce, kind.rounds or _rounds(y.size))


def roundoff(d: int, dtype: type[np.floating], kind: Rotation = _FIRST) -> float:
    """What rounding adds at most to a rotation or its inverse: ||result - exact|| / ||x||.

    Each stage of sums, each product and each factor adds one roundoff. Infinite up to d = 64, for
    which nothing is proved here.
    """
    if d <= HAAR_DIM:
        return math.inf
    power = d.bit_length() - 1
    stages = power + 2 if d == 1 << power else 2 * (power + 2) + 3
    return math.expm1((kind.rounds or _rounds(d)) * stages * float(np.finfo(dtype).eps) / 2)


def _haar(x: NDArray[Float], nonce: int, portable: bool, inverse: bool) -> NDArray[Float]:
    """A product of random reflections that is uniform (Stewart 1980, SIAM J. Numer. Anal. 17)."""
    count = x.size * (x.size + 1) // 2
    normals = portable_normals(nonce, Tag.ROTATION, count) if portable else _normals(nonce, count)
    wide = x.astype(np.float64)
    _reflect(wide, normals, inverse)
    return wide.astype(x.dtype, copy=False)


def _normals(nonce: int, count: int) -> NDArray[np.float64]:
    """Standard normals by Box and Muller: NumPy promises no stream of its own."""
    radius, angle = uniforms(nonce, Tag.ROTATION, 0, 2 * count).reshape(2, -1)
    return np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)


def _rounds(d: int) -> int:
    return 3 if d <= _THREE_ROUNDS_DIM else 2


def _hadamard(x: NDArray[Float], nonce: int, rounds: int) -> NDArray[Float]:
    """In each round random signs and a transform of the largest power-of-two prefix; where that
    is not everything, the same for the suffix, and then each half is mixed into the other."""
    y = x.copy()
    for step, window in enumerate(_windows(y, rounds)):
        _flip_signs(window, nonce, step)
        _transform(window, _CACHED)
        if window.size < y.size and step % 2:
            _mix_halves(y)
    return y


def _inverse_hadamard(x: NDArray[Float], nonce: int, rounds: int) -> NDArray[Float]:
    for step, window in reversed(list(enumerate(_windows(x, rounds)))):
        if window.size < x.size and step % 2:
            _mix_halves(x)
        _transform(window, _CACHED)
        _flip_signs(window, nonce, step)
    return x


def _flip_signs(window: NDArray[np.floating], nonce: int, step: int) -> None:
    """Random signs, 64 from each word, and the factor that makes the transform orthogonal."""
    _flip(
        window, words(nonce, Tag.ROTATION_SIGNS + step, 0, -(-window.size // 64)), window.size**-0.5
    )


def _windows(x: NDArray[np.floating], rounds: int) -> list[NDArray[np.floating]]:
    """The parts of ``x`` (views) that are transformed one after the other."""
    power = 1 << (x.size.bit_length() - 1)
    return [x] * rounds if power == x.size else [x[:power], x[-power:]] * rounds


def _mix_halves(x: NDArray[np.floating]) -> None:
    """Make pairs (a, b) into (a + b, a - b) / sqrt 2, a and b half of ``x`` apart.

    Prefix and suffix may share but few coordinates: without this each would keep its own energy.
    """
    pairs = x.size // 2
    _butterfly(x[:pairs], x[x.size - pairs :], math.sqrt(0.5))


@kernel
def _reflect(x, normals, inverse):  # noqa: ANN001, ANN202 - numba infers the types
    """Apply signs, then reflections of the last 2, 3, ..., d coordinates; the inverse backwards.

    The reflection of n coordinates and the sign of the first of them take that coordinate to a
    uniformly random direction, that of the n normals which belong to the step.
    """
    d = x.size
    for turn in range(1, d + 1):
        n = d + 1 - turn if inverse else turn
        u = normals[n * (n - 1) // 2 : n * (n + 1) // 2].copy()
        part = x[d - n :]
        positive = u[0] >= 0
        if n > 1:
            length = math.sqrt(np.sum(u * u))
            u[0] += length if positive else -length
        if positive == (n > 1) and not inverse:
            part[0] = -part[0]
        if n > 1:
            part -= u * (2 * np.sum(u * part) / np.sum(u * u))
        if positive == (n > 1) and inverse:
            part[0] = -part[0]


@kernel
def _flip(x, words, scale):  # noqa: ANN001, ANN202
    """Times +- scale: 64 signs from each word, its bytes from the low end, each from the high."""
    scale, whole = x.dtype.type(scale), x.size & ~63
    for start in range(0, whole, 64):
        word, part = words[start >> 6], x[start : start + 64]
        for j in range(64):  # so many in any case: it becomes vector instructions
            part[j] *= -scale if word >> np.uint64(j ^ 7) & ONE else scale
    for i in range(whole, x.size):
        x[i] *= -scale if words[i >> 6] >> np.uint64(i & 63 ^ 7) & ONE else scale


@kernel
def _butterfly(a, b, scale):  # noqa: ANN001, ANN202
    scale = a.dtype.type(scale)
    for i in range(a.size):
        a[i], b[i] = scale * (a[i] + b[i]), scale * (a[i] - b[i])


@kernel
def _transform(x, cached):  # noqa: ANN001, ANN202
    """The Walsh-Hadamard transform in place, without its factor; of 2^n coordinates.

    The stages of stride 1, 2, 4, ... one after the other, so that every sum is rounded alike
    however they are grouped: first those within blocks that are in the nearest cache.
    """
    block = min(cached, x.size)
    first = min(block, FLOATS)
    for start in range(0, x.size, block):
        part = x[start : start + block]
        if first == FLOATS:
            for i in range(0, block, FLOATS):
                store(part, i, hadamard(load(part, i)))
        else:
            _stages(part, 1)
        _stages(part, first)
    _stages(x, block)


@register_jitable(forceinline=True)
def _two_stages(a, b, c, d):  # noqa: ANN001, ANN202
    a, b, c, d = add(a, b), subtract(a, b), add(c, d), subtract(c, d)
    return add(a, c), add(b, d), subtract(a, c), subtract(b, d)


@kernel
def _four_stages(x, stride):  # noqa: ANN001, ANN202
    """Of strides from ``stride`` (a multiple of 16) to 8 times it, in registers."""
    for start in range(0, x.size, 16 * stride):
        for i in range(start, start + stride, FLOATS):
            j, k, m = i + 4 * stride, i + 8 * stride, i + 12 * stride
            two, three = 2 * stride, 3 * stride
            a0, a1, a2, a3 = _two_stages(
                load(x, i), load(x, i + stride), load(x, i + two), load(x, i + three)
            )
            b0, b1, b2, b3 = _two_stages(
                load(x, j), load(x, j + stride), load(x, j + two), load(x, j + three)
            )
            c0, c1, c2, c3 = _two_stages(
                load(x, k), load(x, k + stride), load(x, k + two), load(x, k + three)
            )
            d0, d1, d2, d3 = _two_stages(
                load(x, m), load(x, m + stride), load(x, m + two), load(x, m + three)
            )
            a0, b0, c0, d0 = _two_stages(a0, b0, c0, d0)
            a1, b1, c1, d1 = _two_stages(a1, b1, c1, d1)
            a2, b2, c2, d2 = _two_stages(a2, b2, c2, d2)
            a3, b3, c3, d3 = _two_stages(a3, b3, c3, d3)
            _store_four(x, i, stride, a0, a1, a2, a3)
            _store_four(x, j, stride, b0, b1, b2, b3)
            _store_four(x, k, stride, c0, c1, c2, c3)
            _store_four(x, m, stride, d0, d1, d2, d3)


@register_jitable(forceinline=True)
def _store_four(x, i, stride, a, b, c, d):  # noqa: ANN001, ANN202
    store(x, i, a)
    store(x, i + stride, b)
    store(x, i + 2 * stride, c)
    store(x, i + 3 * stride, d)


@kernel
def _stages(x, stride):  # noqa: ANN001, ANN202
    """The stages from ``stride`` on, four or two at a time: memory is what they wait for.

    Two where rows lie far apart: 16 of them would fall into the same places of a cache.
    """
    while 16 * stride <= x.size and FLOATS <= stride <= _NEAR:
        _four_stages(x, stride)
        stride *= 16
    while 4 * stride <= x.size:
        for k in range(0, x.size, 4 * stride):
            p, q = x[k : k + stride], x[k + stride : k + 2 * stride]
            r, s = x[k + 2 * stride : k + 3 * stride], x[k + 3 * stride : k + 4 * stride]
            for i in range(stride):
                a, b, c, d = p[i] + q[i], p[i] - q[i], r[i] + s[i], r[i] - s[i]
                p[i], q[i], r[i], s[i] = a + c, b + d, a - c, b - d
        stride *= 4
    if stride < x.size:
        _butterfly(x[:stride], x[stride:], 1.0)
