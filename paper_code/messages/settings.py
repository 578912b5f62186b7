"""A compressor as bytes: its identifier, and its settings laid out by their type annotations.

float: 8 bytes, IEEE 754; int: variable length, 7 bits a byte; bool: one byte; Literal: one byte,
the place in its list; a compressor: its identifier and its own settings. Little-endian. Which
class an identifier means is in a registry here, so that messages import no compressors.

A setting that a class got later has an identifier of its own: frames under the earlier ones do not
tell it, so that they stay what they were, and it has its default there.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import struct
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..coding.bits import BitReader, FormatError
from .byte_reader import ByteReader, varint


class Codec(Protocol):
    """What a message needs of its compressor, a frozen dataclass of settings."""

    wire_id: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    later: ClassVar[Mapping[str, int]]
    """Settings that were added after ``wire_id``, in that order, and the identifier of each."""

    @property
    def shares_randomness(self) -> bool:
        """Whether its frames carry a nonce."""

    def scaling(self, exponent: int) -> int:
        """The exponent that a message carries where the largest magnitude has this one."""

    def read(self, reader: BitReader, header: Any) -> NDArray[np.floating]:
        """Read a whole payload: its values in the scale that the scheme works in."""

    def decode(self, message: Any) -> NDArray[np.floating]:
        """The array that a message stands for."""


_registered: dict[int, type[Codec]] = {}


def register(wire_id: int, kind: type[Codec]) -> None:
    """Let ``wire_id`` in a frame mean the class ``kind``.

    A class may be defined again under its name, as a notebook's cell is run again. Raises
    ValueError for an identifier outside 0 to 255 or one that another class holds.
    """
    if not 0 <= wire_id <= 255:
        raise ValueError(f"wire_id of {kind.__name__} is {wire_id}; allowed are 0 to 255")
    holder = _registered.get(wire_id, kind)
    if holder.__qualname__ != kind.__qualname__:
        raise ValueError(f"wire_id {wire_id} of {kind.__name__} belongs to {holder.__name__}")
    _registered[wire_id] = kind


def registered() -> dict[int, type[Codec]]:
    """The class that each identifier means, those of users among them."""
    return dict(_registered)


MAX_DEPTH = 4
"""A compressor may be a setting of a compressor, four deep and no deeper."""


@cache
def _fields(kind: type[Codec], wire_id: int) -> tuple[tuple[str, Any], ...]:
    """Name and type of the settings that a frame under that identifier tells."""
    hints = typing.get_type_hints(kind)
    place = [kind.wire_id, *kind.later.values()].index(wire_id)
    untold = list(kind.later)[place:]
    names = (field.name for field in dataclasses.fields(kind))
    return tuple((name, hints[name]) for name in names if name not in untold)


def identifier(compressor: Codec) -> int:
    """The earliest wire identifier under which all its settings are told or have their defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(compressor)}
    for name, wire_id in reversed(list(compressor.later.items())):
        if getattr(compressor, name) != defaults[name]:
            return wire_id
    return compressor.wire_id


def told(compressor: Codec) -> dict[str, Any]:
    """The settings that its frames tell, in the order of their definition."""
    fields = _fields(type(compressor), identifier(compressor))
    return {name: getattr(compressor, name) for name, _ in fields}


def pack_compressor(compressor: Codec, depth: int = 1) -> bytes:
    """The identifier of ``compressor`` and its settings, in the order of their definition.

    Raises TypeError or ValueError, naming the setting, for one that cannot be sent.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"compressors are nested more than {MAX_DEPTH} deep")
    wire_id = identifier(compressor)
    out = [bytes([wire_id])]
    for name, hint in _fields(type(compressor), wire_id):
        value = getattr(compressor, name)
        try:
            out.append(_setting(hint, value, depth))
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            message = f"{name} of {type(compressor).__name__} is {value!r}: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error
    return b"".join(out)


def _setting(hint: Any, value: Any, depth: int) -> bytes:
    if hint is float:
        return struct.pack("<d", value)
    if hint is bool:
        return bytes([bool(value)])
    if hint is int:
        return varint(operator.index(value))
    if typing.get_origin(hint) is Literal:
        return bytes([typing.get_args(hint).index(value)])
    return pack_compressor(value, depth + 1)


def take_compressor(reader: ByteReader, depth: int = 1) -> Codec:
    """Inverse of ``pack_compressor``. Raises FormatError for an unknown identifier, for
    settings that the compressor refuses, and for those that belong under another identifier."""
    if depth > MAX_DEPTH:
        raise FormatError(f"compressors are nested more than {MAX_DEPTH} deep")
    wire_id = reader.take(1)[0]
    kind = _registered.get(wire_id)
    if kind is None:
        raise FormatError(f"unknown compressor {wire_id}; known are {sorted(_registered)}")
    fields = _fields(kind, wire_id)
    values = {name: _take_setting(name, hint, reader, depth) for name, hint in fields}
    try:
        compressor = kind(**values)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"settings of {kind.__name__} are refused: {error}") from error
    if (earlier := identifier(compressor)) != wire_id:  # one frame for every message
        raise FormatError(f"compressor {wire_id} is {compressor}, which belongs under {earlier}")
    return compressor


def _take_setting(name: str, hint: Any, reader: ByteReader, depth: int) -> object:
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
