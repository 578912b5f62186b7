"""A compressor's settings as bytes, laid out by their type annotations.

float: 8 bytes, IEEE 754; int: variable length, 7 bits a byte; bool: one byte; Literal: one byte,
the place in its list; a compressor: its identifier and its own settings. Little-endian.
"""

from __future__ import annotations

import dataclasses
import struct
import typing
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .errors import FormatError

if TYPE_CHECKING:
    from .compressor import Compressor


def varint(value: int) -> bytes:
    """An unsigned integer, 7 bits a byte, least significant first (LEB128).

    >>> varint(300)
    b'\\xac\\x02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def take(stream: BinaryIO, count: int) -> bytes:
    """Exactly ``count`` bytes. Raises FormatError where the stream ends before."""
    parts, missing = [], count
    while missing:
        part = stream.read(min(missing, 1 << 20))  # a declared length allocates nothing by itself
        if not part:
            raise FormatError(f"frame ends early: {missing} of {count} bytes are missing")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def take_varint(stream: BinaryIO) -> int:
    """Read a varint of at most 64 bits. Raises FormatError for a longer or padded one."""
    value = 0
    for shift in range(0, 70, 7):
        byte = take(stream, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64 or (shift and not byte):
                break
            return value
    raise FormatError("integer is longer than 64 bits or not in its shortest form")


@cache
def _fields(kind: type[Compressor]) -> tuple[tuple[str, Any], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))


def pack_settings(compressor: Compressor) -> bytes:
    """The settings of ``compressor``, field by field in the order of their definition."""
    out = []
    for name, hint in _fields(type(compressor)):
        value = getattr(compressor, name)
        if hint is float:
            out.append(struct.pack("<d", value))
        elif hint is bool:
            out.append(bytes([value]))
        elif hint is int:
            out.append(varint(value))
        elif typing.get_origin(hint) is Literal:
            out.append(bytes([typing.get_args(hint).index(value)]))
        else:
            out.append(bytes([value.wire_id]) + pack_settings(value))
    return b"".join(out)


def unpack_settings(kind: type[Compressor], stream: BinaryIO) -> Compressor:
    """Inverse of ``pack_settings``. Raises FormatError for settings that ``kind`` refuses."""
    values = {name: _take_setting(name, hint, stream) for name, hint in _fields(kind)}
    try:
        return kind(**values)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"settings of {kind.__name__} are refused: {error}") from error


def _take_setting(name: str, hint: Any, stream: BinaryIO) -> object:  # noqa: ANN401
    if hint is float:
        return struct.unpack("<d", take(stream, 8))[0]
    if hint is int:
        return take_varint(stream)
    if hint is bool or typing.get_origin(hint) is Literal:
        choices = (False, True) if hint is bool else typing.get_args(hint)
        place = take(stream, 1)[0]
        if place >= len(choices):
            raise FormatError(f"setting {name} is number {place} of {len(choices)} choices")
        return choices[place]
    return take_compressor(stream)


def take_compressor(stream: BinaryIO) -> Compressor:
    """Read an identifier and the settings that follow it. Raises FormatError if it is unknown."""
    from .compressor import Compressor

    wire_id = take(stream, 1)[0]
    kind = Compressor.known.get(wire_id)
    if kind is None:
        raise FormatError(f"unknown compressor {wire_id}; known are {sorted(Compressor.known)}")
    return unpack_settings(kind, stream)
