"""The coarsest step whose error is at most alpha: measured, not assumed.

An encoder tries a step, measures, and tries the next, on a sample until it is near, then on the
whole. What the decoder gets is the last try, so the guarantee holds for every vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..coding.bits import FormatError
from ..messages.message import Header
from ..numerics import norms
from ..numerics.compiled import kernel

LARGEST_LEVEL = 2**31 - 2
TIGHT = 0.001
"""A search ends at errors from (1 - TIGHT) alpha to alpha."""
_TRIES = 40
_FINER_STARTS = 8
"""Each a quarter of the one before: over a range of steps levels may stay as they are."""
_SAMPLE = 1 << 14
SUMS = 16
"""Of squares, side by side."""


def find_step(
    error: Callable[[float], float],
    alpha: float,
    start: float,
    tries: int = _TRIES,
    tight: float = TIGHT,
) -> float:
    """A step with (1 - tight) alpha <= error(step) <= alpha, where the search finds one.

    ``error`` rises from 0 to 1 on the whole, but need not be monotone. Where no step has such an
    error (one-hot vectors), the largest tried with error <= alpha, once one not much larger has
    error > alpha; 0 if none was found. Secants in logarithms, kept inside a bracket.
    """
    return search(_ask, error, alpha, start, tries, tight)


def _ask(error: Callable[[float], float], step: float) -> float:
    return error(step)


@register_jitable  # for kernels and for Python
def search(error, given, alpha, start, tries=_TRIES, tight=TIGHT):  # noqa: ANN001, ANN201
    """``find_step`` for error(given, step)."""
    low, low_error, high, high_error = 0.0, 0.0, math.inf, math.inf
    step, side, misses, aim = start, 0, 0, alpha * (1 - 0.4 * tight)
    for _ in range(tries):
        found = error(given, step)
        was, side = side, -1 if found <= alpha else 1
        if side < 0:
            if step >= low:
                low, low_error = step, found
            if found >= (1 - tight) * alpha:
                return step
            # an end that stays counts for less (Illinois)
            if was < 0 and high_error < math.inf:
                high_error = math.sqrt(high_error * aim)
        else:
            misses += 1
            if step <= high:
                high, high_error = step, found
            if was > 0 and low_error > 0:
                low_error = math.sqrt(low_error * aim)
        if high <= low * (1 + tight / 8):
            break
        step = _next_step(low, low_error, high, high_error, aim, misses)
    return low


@register_jitable  # for kernels and for Python
def finer_search(error, given, alpha, start):  # noqa: ANN001, ANN201
    """``search``, and where it finds no step from there, from finer starts; 0 if none is found."""
    for _ in range(1 + _FINER_STARTS):
        step = search(error, given, alpha, start)
        if step > 0:
            return step
        start /= 4
    return 0.0


@register_jitable
def _next_step(low, low_error, high, high_error, aim, misses):  # noqa: ANN001, ANN202
    """Where the line through both ends, in logarithms, meets ``aim``; or a power law from one.

    Where alpha is nearly 1 that goes down slowly: ever faster after more than three ``misses``.
    """
    if high == math.inf:
        return low * min(4.0, math.sqrt(aim / max(low_error, 1e-300)))
    if low == 0:
        return high * max(0.25, (0.99 * math.sqrt(aim / high_error)) ** max(1, misses - 2))
    if low_error < 1e-3 * aim:
        return math.sqrt(low * high)
    width = math.log(high / low)
    fraction = math.log(aim / low_error) / math.log(high_error / low_error)
    return low * math.exp(min(max(fraction, 0.03), 0.97) * width)


class Quantiser(Protocol):
    """Levels of one vector at the last step whose error was asked for."""

    peak: float
    scale: float

    def error(self, step: float) -> float:
        """Error at that step and the best scale, relative to ||x||^2."""

    def parts(self) -> Iterator[NDArray[np.int32]]:
        """The levels in parts, as ``held_error`` takes them."""


Found = TypeVar("Found", bound=Quantiser)


def meet(
    quantiser: Callable[[NDArray[Any], float], Found],
    x: NDArray[Any],
    energy: float,
    alpha: float,
    start: float,
    header: Header,
) -> Found:
    """The quantiser of x at a step whose error is at most alpha as the receiver will see it.

    ``quantiser`` makes one of a vector and the energy that its errors are relative to; ``start`` is
    the first step tried. Raises ValueError where no step meets alpha.
    """
    part = sample_of(x)
    sample = quantiser(part, energy * part.size / x.size)  # a sparse x's own may have none
    start = find_step(sample.error, alpha, start, tries=10) or start
    whole, target = quantiser(x, energy), alpha
    step = finer_search(_ask, whole.error, target, min(start, 2 * whole.peak))
    while step:
        whole.error(step)
        excess = held_error(x, energy, whole.parts(), whole.scale, header) - alpha
        if excess <= 0:
            return whole
        # rounding to the element type adds to the error: aim lower
        start, target = step, max(target - 2 * excess, target / 4) * (1 - 1e-6)
        step = find_step(whole.error, target, start)
    raise ValueError(f"alpha is {alpha}, which is finer than {header.dtype} can hold")


def sample_of(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """About 2**14 coordinates spread evenly over ``x``."""
    return np.ascontiguousarray(x[:: max(1, x.size // _SAMPLE)])


def held_error(
    x: NDArray[np.floating],
    energy: float,
    parts: Iterable[NDArray[np.int32]],
    scale: float,
    header: Header,
) -> float:
    """||C(x) - x||^2 / ||x||^2 for what the receiver will hold; ``energy`` is ||x||^2.

    The levels come in parts, all but the last of a multiple of 16: no more is held than one.
    """
    sums, start = np.zeros(SUMS), 0
    for levels in parts:
        values = scaled(levels, scale, header)
        if not header.is_exact:
            values = replace(header, shape=(values.size,)).rounded(values)
        add_distance(values, x[start : start + values.size], sums)
        start += values.size
    return float(_sum(sums)) / energy


def scaled(
    levels: NDArray[np.signedinteger],
    scale: float,
    header: Header,
    out: NDArray[Any] | None = None,
    rest: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """scale * levels, in the working dtype: what the decoder computes; taken away from ``rest``."""
    values = np.empty(levels.size, header.working_dtype) if out is None else out
    if rest is None:
        multiply(levels, scale, values)
    else:
        _multiply_and_subtract(levels, scale, values, rest)
    return values


def finite(values: NDArray[Any]) -> NDArray[Any]:
    """``values``. Raises FormatError if one overflowed, which no encoder lets happen."""
    if not math.isfinite(norms.peak(values)):
        raise FormatError("a value overflows: levels and scale are no encoder's")
    return values


@kernel
def multiply(levels, scale, values):  # noqa: ANN001, ANN201 - numba infers the types
    """Fill ``values`` with scale times level, rounded once."""
    for i in range(levels.size):
        values[i] = scale * np.float64(levels[i])


@kernel
def _multiply_and_subtract(levels, scale, values, rest):  # noqa: ANN001, ANN202
    """As ``multiply``, and take the values away from ``rest``, while they are at hand."""
    for i in range(levels.size):
        value = values.dtype.type(scale * np.float64(levels[i]))
        rest[i] -= value
        values[i] = value


@kernel
def add_distance(values, x, sums):  # noqa: ANN001, ANN201
    """Add to 16 sums side by side, in float64 and always in the same order: ||values - x||^2."""
    whole = x.size - x.size % SUMS
    for start in range(0, whole, SUMS):
        for j in range(SUMS):
            gap = np.float64(values[start + j]) - np.float64(x[start + j])
            sums[j] += gap * gap
    for i in range(whole, x.size):
        gap = np.float64(values[i]) - np.float64(x[i])
        sums[0] += gap * gap


@kernel
def _sum(sums):  # noqa: ANN001, ANN202
    """The sum, one after the other on every machine."""
    return sums.sum()
