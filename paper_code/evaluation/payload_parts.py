"""What the bits of a payload are: found by reading it part by part, as its decoder does."""

from __future__ import annotations

from collections.abc import Iterator

from ..coding import codes, entropy_coder
from ..coding.codes import BitReader, ceil_log2
from ..coding.entropy_coder import Family
from ..compressors import entropy_coded_sparse_dithering, subtractive_dithering
from ..compressors.contract import Compressor
from ..compressors.entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from ..compressors.known import (
    Identity,
    NaturalCompression,
    NaturalDithering,
    RandK,
    RandomDithering,
    RotatedSign,
    ScaledSign,
    Ternary,
    TopK,
)
from ..compressors.known.identity import read_values
from ..compressors.sparse_dithering import SparseDithering
from ..compressors.spherical.compression import SphericalCompression
from ..compressors.subtractive_dithering import SubtractiveDithering
from ..compressors.trellis import compression as trellis
from ..compressors.trellis.compression import TrellisCompression
from ..messages.message import Header, Message

SCALES = {
    SparseDithering: "step",
    SubtractiveDithering: "step",
    SphericalCompression: "norm",
    RandomDithering: "norm",
    NaturalDithering: "norm",
    Ternary: "largest value",
    ScaledSign: "scale",
    RotatedSign: "scale",
    EntropyCodedSparseDithering: "scale",
    TrellisCompression: "scale",
}
"""What the 31 bits are with which a payload begins. It ends there if they are zero."""


def payload_parts(message: Message) -> dict[str, int]:
    """Bits of each part of the payload by name, in order; they add up to ``message.bits``.

    A compressor that is not one of this library's has one part, its payload.

    >>> import numpy as np
    >>> payload_parts(SparseDithering(0.1).encode(np.array([3.0, -4.0, 0.1, 0.0])))
    {'step': 31, 'number of zeros': 2, 'signs': 2, 'levels': 5, 'positions': 3}
    """
    reader = BitReader(message.payload, message.bits)
    parts: dict[str, int] = {}
    for name in _read(message.compressor, reader, message.header):
        parts[name] = reader.position - sum(parts.values())
    if reader.remaining:
        parts["payload"] = reader.remaining
    return {name: bits for name, bits in parts.items() if bits}


def frame_parts(message: Message) -> dict[str, int]:
    """The same for all bits of the frame: its header, the payload's parts, padding, checksum."""
    inside = payload_parts(message)
    padding = -message.bits % 8
    header = 8 * (len(message.to_bytes()) - 4) - message.bits - padding
    parts = {"frame": header, **inside, "padding": padding, "checksum": 32}
    return {name: bits for name, bits in parts.items() if bits}


def _read(c: Compressor, reader: BitReader, header: Header) -> Iterator[str]:
    """Read a part of the payload, and yield its name; then the next."""
    if scale := SCALES.get(type(c)):
        value = codes.read_positive_float(reader)
        yield scale
        if value == 0:
            return
    match c:
        case SparseDithering():
            yield from _sparse_dithering(c, reader, header.d)
        case Ternary():
            nonzero = reader.read_uint(ceil_log2(header.d)) + 1
            yield "number of non-zeros"
            reader.take(nonzero)
            yield "signs"
            yield _rest(reader, "positions")
        case TopK():
            read_values(reader, c.k, header)
            yield "values"
            yield _rest(reader, "positions")
        case Identity() | RandK():
            yield _rest(reader, "values")
        case ScaledSign() | RotatedSign():
            yield _rest(reader, "signs")
        case SphericalCompression():
            yield _rest(reader, "number of the direction")
        case RandomDithering():
            yield _rest(reader, "gaps, signs, levels")
        case NaturalCompression() | NaturalDithering():
            yield _rest(reader, "signs and levels")
        case EntropyCodedSparseDithering():
            yield from _coded(reader, 1, entropy_coded_sparse_dithering.CELLS)
        case SubtractiveDithering():
            groups = subtractive_dithering.PHASES
            yield from _coded(reader, groups, subtractive_dithering.CELLS)
        case TrellisCompression():
            groups = len(trellis._read_sizes(reader, header.d))
            yield "class sizes"
            yield from _coded(reader, groups, trellis._Points())


def _rest(reader: BitReader, name: str) -> str:
    reader.take(reader.remaining)
    return name


def _sparse_dithering(c: SparseDithering, reader: BitReader, d: int) -> Iterator[str]:
    if c.positions == "subset":
        nonzero = d - reader.read_uint(ceil_log2(d))
        yield "number of zeros"
    else:
        nonzero = int(reader.read_mask(d).sum())
        yield "positions"
    reader.take(nonzero)
    yield "signs"
    codes.skip_unary(reader, nonzero)
    yield "levels"
    if c.positions == "subset":
        yield _rest(reader, "positions")


def _coded(reader: BitReader, groups: int, family: Family) -> Iterator[str]:
    entropy_coder._read_model(reader, groups, family)
    yield "model"
    yield _rest(reader, "levels")
