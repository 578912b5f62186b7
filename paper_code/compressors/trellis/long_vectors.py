"""Long vectors: in which way they are searched, so that the error is alpha at most in few bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitWriter
from ...messages.message import Header
from ..step_search import SUMS, add_distance
from . import cells
from .cells import Cells
from .long_payload import Found, Way, gain_of, payload, scale_of
from .models import entropy
from .quantiser import Quantised
from .rate_control import TIGHT, Missed, Plan, RateControl
from .stretches import Chunk, values_of

_SUMS = 4e-6
_LOW_RATE, _LOWER_RATE = 0.6, 0.15  # bits a coordinate: other widths, then few states, may save
_SAMPLE_BITS = 1 << 14  # of the part by which the width is chosen
FEW_STATES = 8


def cheapest(
    x: NDArray[Any],
    energy: float,
    alpha: float,
    states: int,
    unbiased: bool,
    header: Header,
    thorough: bool,
) -> tuple[Way, BitWriter, Found | None] | None:
    """The way of fewest bits for x, whose ||x||^2 is ``energy``, and its payload.

    The error is alpha at most as the receiver will see it. Where it is unbiased x has been rotated,
    and all chunks have the scale that makes <x, C(x)> = ||x||^2. None where x defeats the search.
    Other ways than one path after the other, with ``states`` states, are tried if ``thorough``: at
    low rates several, the paths of two held. What was found is given too, unless the last search,
    with cells, was in vain.
    """
    best, control = Way(states), RateControl(x, energy, states)
    found = _quantised(control, alpha, unbiased, header)
    if not found:
        return None
    sent, plan = payload(x.size, found), control.plan()
    if not thorough:
        return best, sent, found
    rate, width = sent.bits / x.size, 1
    if rate < _LOW_RATE and not unbiased:  # a rotated vector has no columns, nor cells
        width = control.best_width(int(_SAMPLE_BITS / rate))
    for count in _other_states(states, rate, width):
        # few states begin anew: what many have learned leads them to other paths, not better ones
        again, way = count == states, Way(count, width if count == states else best.width)
        control = RateControl(x, energy, count, way.width)
        other = _quantised(control, alpha, unbiased, header, plan if again else None)
        if other and (shorter := payload(x.size, other)).bits < sent.bits:
            best, sent, found, plan = way, shorter, other, control.plan()
        del other
    if not unbiased and (made := _cells_of(control.chunks, found.paths)):
        control = RateControl(x, energy, best.states, best.width, made)
        del found  # not the paths of two, with all that cells take beside them
        given = replace(plan[0], rates=made.rates), plan[1]
        found = _quantised(control, alpha, unbiased, header, given)
        if found and (shorter := payload(x.size, found)).bits < sent.bits:
            return replace(best, cells=True), shorter, found
        return best, sent, None
    return best, sent, found


def _cells_of(chunks: list[Chunk], paths: list[Quantised]) -> Cells | None:
    """Cells to search with once more, if they save bits in the chunk of most bits."""
    k = int(np.argmax([entropy(one.counts) for one in paths]))
    return cells.find(chunks, paths) if cells.would_save(chunks[k], paths[k]) else None


def _other_states(states: int, rate: float, width: int) -> list[int]:
    """With how many states to search once more; from learned rates as many may find better paths"""
    low = rate < _LOWER_RATE
    return [states] * (low or width > 1) + [FEW_STATES] * (low and states > FEW_STATES)


def _quantised(
    control: RateControl, alpha: float, unbiased: bool, header: Header, plan: Plan | None = None
) -> Found | None:
    energy = control.energy
    # what the sums may be wrong by is less than the bits that a look at all values is worth
    target = alpha - _SUMS if TIGHT * alpha >= _SUMS else alpha
    try:
        while target > alpha / 2:
            paths = control.run(target, plan)
            if unbiased:
                scale, gains = _unbiased_scale(energy, paths), [0] * len(paths)
                excess = _tilt(energy, paths) - alpha + _SUMS
            else:
                scale = float(np.float32(control.scale))
                gains = [gain_of(one, scale) for one in paths]
                excess = _error_of_sums(energy, scale, gains, paths) - alpha + _SUMS
                if excess > 0 or header.dtype != "float32" or header.exponent:
                    excess = _held_error(control, scale, gains, header) - alpha
            if excess <= 0:
                return Found(scale, gains, paths, control.cells.maps if control.cells else None)
            # rounding to the element type adds to the error: aim lower
            target, plan = (target - 1.5 * excess) * (1 - 1e-6), control.plan()
            del paths  # before there are others
    except Missed:
        pass
    return None


def _unbiased_scale(energy: float, paths: list[Quantised]) -> float:
    """The scale that makes <x, C(x)> = ||x||^2."""
    return float(np.float32(energy / sum(one.cross for one in paths)))


def _tilt(energy: float, paths: list[Quantised]) -> float:
    """1 - <x, n>^2 / (||x||^2 ||n||^2): the error of the best scale, if all chunks have one."""
    cross, own = sum(one.cross for one in paths), sum(one.own for one in paths)
    return 1 - cross**2 / (own * energy)


def _error_of_sums(energy: float, scale: float, gains: list[int], paths: list[Quantised]) -> float:
    """The error by the sums that the search has made; within ``_SUMS`` where x is float32.

    They are of 16 products in float32, each within 16 * 2^-24 of the sum of their magnitudes, as is
    what the receiver rounds: three such sums and the cross term twice, below ||x||^2 each.
    """
    scales = [scale_of(scale, gain) for gain in gains]
    return sum(one.error(s) for one, s in zip(paths, scales, strict=True)) / energy


def _held_error(control: RateControl, scale: float, gains: list[int], header: Header) -> float:
    """||C(x) - x||^2 / ||x||^2 for what the receiver will hold."""
    x, sums = control.x, np.zeros(SUMS)
    for chunk, gain, one in zip(control.chunks, gains, control.done, strict=True):
        values = np.empty(chunk.size, header.working_dtype)
        values_of(one.path, scale_of(scale, gain), chunk, control.width, values)
        if not header.is_exact:
            values = replace(header, shape=(values.size,)).rounded(values)
        add_distance(values, x[chunk.first : chunk.first + chunk.size], sums)
    return float(np.cumsum(sums)[-1]) / control.energy
