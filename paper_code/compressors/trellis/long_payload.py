"""The payload of a long vector: scales and models by chunk, then all paths in interleaved rANS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...coding import codes, rans
from ...coding.bits import BitReader, BitWriter, FormatError
from ...messages.message import Header
from ...numerics.simd import LANES
from ..step_search import finite
from .cells import counted, no_cells
from .codes import CODES
from .map_coder import read_changes, read_map, write_changes, write_map
from .models import LEAST_BITS, bits_of, entropy, read_model, write_model
from .path_coder import read_path, write_path
from .quantiser import Quantised
from .stretches import ESCAPE, Chunk, by_rows, chunks, values_of

_GAIN_BITS = 8
_GAINS = 1 << 10  # of the scale of all, to which a chunk's own is rounded
_MODELS_BITS = 3  # of the number of models that cells choose among, less one
_MANY = 1 << 17  # coordinates from which on 8 states take turns, else 2


@dataclass(frozen=True)
class Way:
    """How a vector is searched: by so many states, its chunks in the order of ``by_columns``.

    With ``cells`` a map names the model of each of them.
    """

    states: int
    width: int = 1
    cells: bool = False


@dataclass(frozen=True)
class Found:
    """The paths of all chunks, the scale of all, and by how much each chunk's own differs."""

    scale: float
    gains: list[int]
    paths: list[Quantised]
    maps: list[NDArray[np.uint8]] | None = None
    """The model of every cell, where they choose."""


def gain_of(one: Quantised, scale: float) -> int:
    """A chunk's own scale over that of all, in 2^-10, less one."""
    most = (1 << _GAIN_BITS - 1) - 1
    return min(max(round(_GAINS * (one.best_scale / scale - 1)), -most), most) if scale else 0


def scale_of(scale: float, gain: int) -> float:
    """The scale of a chunk."""
    return scale * (_GAINS + gain) / _GAINS


def held(found: Found, width: int, header: Header) -> NDArray[Any]:
    """What ``read`` will make of it."""
    values = np.empty(header.d, header.working_dtype)
    for chunk, gain, one in zip(chunks(header.d), found.gains, found.paths, strict=True):
        part = values[chunk.first : chunk.first + chunk.size]
        values_of(one.path, scale_of(found.scale, gain), chunk, width, part)
    return finite(values)


def payload(d: int, found: Found) -> BitWriter:
    """All but what says in which way a long vector was searched; it comes last."""
    writer, parts = BitWriter(), chunks(d)
    codes.write_positive_float(writer, found.scale)
    for gain in found.gains:
        writer.write_uint(gain & (1 << _GAIN_BITS) - 1, _GAIN_BITS)
    if maps := found.maps:
        changes, models, room = _write_models_of_cells(writer, parts, found.paths, maps)
        map_table = _for_coder(rans.tables(changes))
    else:
        models, room = _write_models(writer, [one.counts for one in found.paths])
    words = np.empty(room, np.uint16)
    states, at, weights = np.full(_ways(d), rans.FIRST, np.uint64), words.size, None
    for k in range(len(parts) - 1, -1, -1):
        if models[k] is not weights:
            weights, table = models[k], _for_coder(rans.tables(models[k]))
        cells, chunk = maps[k] if maps else no_cells(parts[k]), parts[k]
        model = cells, *table
        at = write_path(found.paths[k].path, chunk.size, chunk.steps, *model, words, at, states)
        if at < cells.size:  # a map may take a word for each
            raise ValueError("the coder's words exceed the room that was made for them")
        if maps:
            at = write_map(cells, *map_table, words, at, states)
    writer.write_uints(states, rans.STATE_BITS)
    writer.write_uints(words[at:], 16)
    return writer


def _for_coder(table: rans.Tables) -> tuple[NDArray[Any], ...]:
    return table.frequency, table.start, table.reciprocal, table.shift


def _for_decoder(table: rans.Tables) -> tuple[NDArray[Any], ...]:
    return table.frequency, table.start, table.symbol


def _write_models(
    writer: BitWriter, counts: list[NDArray[np.int64]]
) -> tuple[list[NDArray[np.int64]], int]:
    """The weights of each chunk: those of the whole, or its own where that saves bits; and room."""
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
    return models, _room(counts, models)


def _write_models_of_cells(
    writer: BitWriter,
    parts: list[Chunk],
    paths: list[Quantised],
    maps: list[NDArray[np.uint8]],
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], int]:
    """The weights of the map, those of all models one below the other for each chunk, and room."""
    counts = list(counted(parts, paths, maps))
    writer.write_uint(len(counts) - 1, _MODELS_BITS)
    models = [write_model(writer, mine) for mine in counts]
    changes = write_changes(writer, maps, len(models))
    room = _room(counts, models) + sum(cells.size for cells in maps)
    return changes, [np.concatenate(models)] * len(parts), room


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
    models, map_table = _read_models(reader, len(parts), way.cells)
    reader.label("levels")
    coder = reader.read_uints(_ways(d), rans.STATE_BITS)
    if reader.remaining % 16 or np.any(coder < rans.FIRST):
        raise FormatError("the coder's states or words are none that a coder leaves")
    count = reader.remaining // 16
    words = np.zeros(count + 1, np.uint16)
    words[:count] = reader.read_uints(count, 16, "uint16")
    values = np.empty(d, header.working_dtype)
    taps = tuple(h >> 1 for h in CODES[way.states])
    place, at = np.zeros(LANES, np.uint32), 0
    weights = None
    for chunk, gain, mine in zip(parts, gains.tolist(), models, strict=True):
        if mine is not weights:
            weights, table = mine, rans.tables(mine)
        cells, own = no_cells(chunk), scale_of(scale, gain)
        if map_table:
            at = read_map(words, at, coder, *_for_decoder(map_table), cells)
        part = values[chunk.first : chunk.first + chunk.size]
        model = cells, *_for_decoder(table)
        at = read_path(words, at, coder, place, *taps, *model, own, chunk.steps, part)
        if at < 0:
            raise FormatError("payload ends inside the levels")
        if way.width > 1:
            part[:] = by_rows(part, way.width)
    if at != count or np.any(coder != rans.FIRST):
        raise FormatError("entropy code is damaged: it does not end as a coder begins")
    return finite(values)


def _read_models(
    reader: BitReader, count: int, cells: bool
) -> tuple[list[NDArray[np.int64]], rans.Tables | None]:
    """The weights of each of ``count`` chunks, and what codes the map of cells if there is one."""
    if not cells:
        whole = read_model(reader)
        return [read_model(reader) if reader.read_uint(1) else whole for _ in range(count)], None
    few = reader.read_uint(_MODELS_BITS) + 1
    together = np.concatenate([read_model(reader) for _ in range(few)])
    return [together] * count, rans.tables(read_changes(reader, few))
