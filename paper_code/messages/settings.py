"""A compressor's settings as bytes, laid out by their type annotations.

float: 8 bytes, IEEE 754; int: variable length, 7 bits a byte; bool: one byte; Literal: one byte,
the place in its list; a compressor: its identifier and its own settings. Little-endian.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import struct
import typing
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ..coding.bits import FormatError
from .byte_reader import ByteReader, varint

if TYPE_CHECKING:
    from ..compressors.contract import Compressor

MAX_DEPTH = 4
"""A compressor may be a setting of a compressor, four deep and no deeper."""


@cache
def _fields(kind: type[Compressor]) -> tuple[tuple[str, Any], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))


def pack_compressor(compressor: Compressor, depth: int = 1) -> bytes:
    """The identifier of ``compressor`` and its settings, in the order of their definition.

    Raises TypeError or ValueError, naming the setting, for one that cannot be sent.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"compressors are nested more than {MAX_DEPTH} deep")
    out = [bytes([compressor.wire_id])]
    for name, hint in _fields(type(compressor)):
        value = getattr(compressor, name)
        try:
            out.append(_setting(hint, value, depth))
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            message = f"{name} of {type(compressor).__name__} is {value!r}: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error
    return b"".join(out)


def _setting(hint: Any, value: Any, depth: int) -> bytes:  # noqa: ANN401 - any setting
    if hint is float:
        return struct.pack("<d", value)
    if hint is bool:
        return bytes([bool(value)])
    if hint is int:
        return varint(operator.index(value))
    if typing.get_origin(hint) is Literal:
        return bytes([typing.get_args(hint).index(value)])
    return pack_compressor(value, depth + 1)


def take_compressor(reader: ByteReader, depth: int = 1) -> Compressor:
    """Inverse of ``pack_compressor``. Raises FormatError for an unknown identifier, and for
    settings that the compressor refuses."""
    from ..compressors.contract import Compressor

    if depth > MAX_DEPTH:
        raise FormatError(f"compressors are nested more than {MAX_DEPTH} deep")
    wire_id = reader.take(1)[0]
    kind = Compressor.known.get(wire_id)
    if kind is None:
        raise FormatError(f"unknown compressor {wire_id}; known are {sorted(Compressor.known)}")
    values = {name: _take_setting(name, hint, reader, depth) for name, hint in _fields(kind)}
    try:
        return kind(**values)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"settings of {kind.__name__} are refused: {error}") from error


def _take_setting(name: str, hint: Any, reader: ByteReader, depth: int) -> object:  # noqa: ANN401
    if hint is float:
        value = struct.unpack("<d", reader.take(8))[0]
        if math.isnan(value):
            raise FormatError(f"setting {name} is not a number")
        return value
    if hint is int:
        return reader.varint()
    if hint is bool or typing.get_origin(hint) is Literal:
        choices = (False, True) if hint is bool else typing.get_args(hint)
        place = reader.take(1)[0]
        if place >= len(choices):
            raise FormatError(f"setting {name} is number {place} of {len(choices)} choices")
        return choices[place]
    return take_compressor(reader, depth + 1)
