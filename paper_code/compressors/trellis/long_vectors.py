"""The payload of a long vector: scales and models by chunk, then all paths in interleaved rANS."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...coding import codes, rans
from ...coding.bits import BitReader, BitWriter, FormatError
from ...messages.message import Header
from ...numerics.simd import LANES
from ..step_search import SUMS, add_distance, finite
from .codes import CODES
from .models import LEAST_BITS, bits_of, entropy, read_model, write_model
from .path_coder import read_path, write_path
from .rate_control import TIGHT, Missed, Plan, Quantised, RateControl
from .stretches import ESCAPE, by_rows, chunks, values_of

_GAIN_BITS = 8
_GAINS = 1 << 10  # of the scale of all, to which a chunk's own is rounded
_SUMS = 4e-6
_LOW_RATE, _LOWER_RATE = 0.6, 0.15  # bits a coordinate: other widths, then few states, may save
_SAMPLE_BITS = 1 << 14  # of the part by which the width is chosen
FEW_STATES = 8
_MANY = 1 << 17  # coordinates from which on 8 states take turns, else 2


@dataclass(frozen=True)
class Way:
    """How a vector is searched: by so many states, its chunks in the order of ``by_columns``."""

    states: int
    width: int = 1


@dataclass(frozen=True)
class Found:
    """The paths of all chunks, the scale of all, and by how much each chunk's own differs."""

    scale: float
    gains: list[int]
    paths: list[Quantised]


def cheapest(
    x: NDArray[Any], energy: float, alpha: float, states: int, unbiased: bool, header: Header
) -> tuple[Way, BitWriter, Found | None] | None:
    """The way of fewest bits for x, whose ||x||^2 is ``energy``, and its payload.

    The error is alpha at most as the receiver will see it. Where it is unbiased x has been rotated,
    and all chunks have the scale that makes <x, C(x)> = ||x||^2. None where x defeats the search.
    At low rates several ways are tried; what was found is given where it is of the last: the paths
    of two are not held at a time.
    """
    best, control = Way(states), RateControl(x, energy, states)
    found = _quantised(control, alpha, unbiased, header)
    if not found:
        return None
    payload, plan = _payload(x.size, found), control.plan()
    rate = payload.bits / x.size
    width = 1
    if rate < _LOW_RATE and not unbiased:  # a rotated vector has no columns
        width = control.best_width(int(_SAMPLE_BITS / rate))
    for count in _other_states(states, rate, width):
        # few states begin anew: what many have learned leads them to other paths, not better ones
        again, way = count == states, Way(count, width if count == states else best.width)
        del control
        found, control = None, RateControl(x, energy, count, way.width)
        other = _quantised(control, alpha, unbiased, header, plan if again else None)
        if other and (shorter := _payload(x.size, other)).bits < payload.bits:
            best, payload, found = way, shorter, other
        del other
    return best, payload, found


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
                gains = [_gain(one, scale) for one in paths]
                excess = _error_of_sums(energy, scale, gains, paths) - alpha + _SUMS
                if excess > 0 or header.dtype != "float32" or header.exponent:
                    excess = _held_error(control, scale, gains, header) - alpha
            if excess <= 0:
                return Found(scale, gains, paths)
            # rounding to the element type adds to the error: aim lower
            target = (target - 1.5 * excess) * (1 - 1e-6)
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


def held(found: Found, width: int, header: Header) -> NDArray[Any]:
    """What ``read`` will make of it."""
    values = np.empty(header.d, header.working_dtype)
    for chunk, gain, one in zip(chunks(header.d), found.gains, found.paths, strict=True):
        part = values[chunk.first : chunk.first + chunk.size]
        values_of(one.path, scale_of(found.scale, gain), chunk, width, part)
    return finite(values)


def _gain(one: Quantised, scale: float) -> int:
    """A chunk's own scale over that of all, in 2^-10, less one."""
    most = (1 << _GAIN_BITS - 1) - 1
    return min(max(round(_GAINS * (one.best_scale / scale - 1)), -most), most) if scale else 0


def scale_of(scale: float, gain: int) -> float:
    """The scale of a chunk."""
    return scale * (_GAINS + gain) / _GAINS


def _payload(d: int, found: Found) -> BitWriter:
    """All but what says in which way a long vector was searched; it comes last."""
    writer, paths = BitWriter(), found.paths
    codes.write_positive_float(writer, found.scale)
    for gain in found.gains:
        writer.write_uint(gain & (1 << _GAIN_BITS) - 1, _GAIN_BITS)
    counts = [one.counts for one in paths]
    models = _write_models(writer, counts)
    words = np.empty(_room(counts, models), np.uint16)
    states, at, weights = np.full(_ways(d), rans.FIRST, np.uint64), words.size, None
    for chunk, one, mine in reversed(list(zip(chunks(d), paths, models, strict=True))):
        if mine is not weights:
            weights, table = mine, rans.tables(mine)
        coder = table.frequency, table.start, table.reciprocal, table.shift
        at = write_path(one.path, chunk.size, chunk.steps, *coder, words, at, states)
        if at < 0:
            raise ValueError("the coder's words exceed the room that was made for them")
    writer.write_uints(states, rans.STATE_BITS)
    writer.write_uints(words[at:], 16)
    return writer


def _write_models(writer: BitWriter, counts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The weights of each chunk: those of the whole, or its own where that saves bits."""
    total = np.sum(counts, axis=0)
    whole = write_model(writer, total)
    excess = (bits_of(total, whole) - entropy(total)) / total.sum()  # of that kind of model
    models = []
    for mine in counts:
        own, weights, most = BitWriter(), whole, bits_of(mine, whole)
        # by chance alone a chunk's own shares save log2(e) / 2 bits for each symbol
        least = LEAST_BITS + math.log2(math.e) * np.count_nonzero(mine)
        if entropy(mine) + excess * mine.sum() + least < most:
            weights = write_model(own, mine)
        better = bits_of(mine, weights) + own.bits < most
        writer.write_uint(int(better), 1)
        if better:
            writer.append(own)
        models.append(weights if better else whole)
    return models


def _room(counts: list[NDArray[np.int64]], models: list[NDArray[np.int64]]) -> int:
    """Words that are surely enough: 3 for each escaped level, and a reserve."""
    bits = sum(bits_of(mine, weights) for mine, weights in zip(counts, models, strict=True))
    size, escaped = (int(sum(np.sum(c[:, k:]) for c in counts)) for k in (0, ESCAPE))
    return int(bits / 16 * 1.05) + size // 64 + 3 * escaped + 64 * LANES


def _ways(d: int) -> int:
    return 8 if d >= _MANY else 2


def read(reader: BitReader, header: Header, way: Way) -> NDArray[Any]:
    """The values of a vector searched in that way."""
    d = header.d
    reader.label("scale")
    scale = codes.read_positive_float(reader)
    reader.label("gains")
    parts = chunks(d)
    raw = reader.read_uints(len(parts), _GAIN_BITS).astype(np.int64)
    gains = raw - ((raw >> _GAIN_BITS - 1) << _GAIN_BITS)
    reader.label("models")
    whole = read_model(reader)
    models = [read_model(reader) if reader.read_uint(1) else whole for _ in parts]
    reader.label("levels")
    coder = reader.read_uints(_ways(d), rans.STATE_BITS)
    if reader.remaining % 16 or np.any(coder < rans.FIRST):
        raise FormatError("the coder's states or words are none that a coder leaves")
    count = reader.remaining // 16
    words = np.zeros(count + 1, np.uint16)
    words[:count] = reader.read_uints(count, 16, "uint16")
    values = np.empty(d, header.working_dtype)
    h1, h0 = (h >> 1 for h in CODES[way.states])
    place, at = np.zeros(LANES, np.uint32), 0
    weights = None
    for chunk, gain, mine in zip(parts, gains.tolist(), models, strict=True):
        if mine is not weights:
            weights, table = mine, rans.tables(mine)
        model, own = (table.frequency, table.start, table.symbol), scale_of(scale, gain)
        part = values[chunk.first : chunk.first + chunk.size]
        at = read_path(words, at, coder, place, h1, h0, *model, own, chunk.steps, part)
        if at < 0:
            raise FormatError("payload ends inside the levels")
        if way.width > 1:
            part[:] = by_rows(part, way.width)
    if at != count or np.any(coder != rans.FIRST):
        raise FormatError("entropy code is damaged: it does not end as a coder begins")
    return finite(values)
