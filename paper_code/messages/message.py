"""What travels: a payload of counted bits, what the decoder must know beside it, and their frame.

A frame is a message as bytes that explain themselves: magic (2 bytes), version, element type and
number of dimensions, dimensions, exponent where it is not 0, compressor and settings, nonce with
algorithm and fingerprint of its stream where randomness is shared, length of the payload in bits,
payload, CRC-32 of all before it. Integers are little-endian; dimensions and lengths are varints.
Every message has exactly one frame. docs/frame.md goes through it field by field.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..coding.bits import FormatError
from ..numerics import random_streams
from ..numerics.float_types import DTYPES, LARGEST, SMALLEST, round_to
from .byte_reader import ByteReader, varint
from .settings import Codec, pack_compressor, take_compressor


@dataclass(frozen=True)
class Header:
    """The kind of array that was sent, and the nonce that sender and receiver share.

    The scheme works on x / 2**exponent, so that a norm never overflows; the exponent is 0 but for
    extreme magnitudes. ``nonce`` (64 bits) seeds shared randomness; None where there is none.
    """

    shape: tuple[int, ...]
    dtype: str
    exponent: int = 0
    nonce: int | None = None

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return math.prod(self.shape)

    @property
    def shared_nonce(self) -> int:
        """The nonce. Raises ValueError where there is none."""
        if self.nonce is None:
            raise ValueError("nonce is None; this compressor needs one of 64 bits")
        return self.nonce

    @property
    def working_dtype(self) -> type[np.floating]:
        """float64 for a float64 array, float32 for every narrower one."""
        return np.float64 if self.dtype == "float64" else np.float32

    @property
    def is_exact(self) -> bool:
        """Whether the receiver holds values as the scheme computes them, neither scaled nor cut."""
        return not self.exponent and self.dtype == np.dtype(self.working_dtype).name

    def cast(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The array that the receiver holds: scaled back, in the output dtype, in shape."""
        if self.exponent:
            with np.errstate(over="ignore", under="ignore"):
                values = np.ldexp(values.astype(np.float64, copy=False), self.exponent)
        return round_to(values, self.dtype).reshape(self.shape)

    def rounded(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """``values`` as the receiver will hold them, in the scale that the scheme works in."""
        held = self.cast(values).reshape(-1).astype(np.float64, copy=False)
        return np.ldexp(held, -self.exponent) if self.exponent else held


@dataclass(frozen=True)
class Message:
    """An encoded vector: the compressor, the header, and the payload.

    ``bits`` is the number of payload bits that were written (the paper's accounting);
    ``len(message.to_bytes())`` is what a network carries, in bytes.
    """

    compressor: Codec
    header: Header
    payload: bytes
    bits: int

    def decode(self) -> NDArray[np.floating]:
        """The decompressed array. Raises FormatError if the payload is malformed."""
        return self.compressor.decode(self)

    def to_bytes(self) -> bytes:
        """The message as a self-describing frame."""
        return write_frame(self)

    @staticmethod
    def from_bytes(data: bytes, max_dim: int | None = None) -> Message:
        """Inverse of ``to_bytes``. Raises FormatError, also above ``max_dim`` (2^26) values."""
        return parse(data, MAX_DIM if max_dim is None else max_dim)


MAGIC = b"\xd5g"
VERSION = 1
MAX_DIM = 1 << 26
"""Most coordinates that are decoded unless the caller says otherwise."""


def most_bits(d: int) -> int:
    """Payload bits of d coordinates that a decoder accepts: 64 each, or 2^32 if that is more."""
    return 64 * max(d, MAX_DIM)


_HAS_EXPONENT = 0b0100
_RESERVED = 0b1000


def write_frame(message: Message) -> bytes:
    """The frame of ``message``: at most 24 bytes more than the payload for a 1-d float32 array of
    d <= 10 000 under Sparse Dithering."""
    return b"".join(write_frame_parts(message))


def write_frame_parts(message: Message) -> tuple[bytes, bytes, bytes]:
    """The frame of ``message`` in three parts: what is before the payload, the payload, its end."""
    header = message.header
    kind = len(header.shape) << 4 | (_HAS_EXPONENT if header.exponent else 0)
    head = b"".join(
        [
            MAGIC,
            bytes([VERSION, kind | DTYPES.index(header.dtype)]),
            *map(varint, header.shape),
            struct.pack("<h", header.exponent) if header.exponent else b"",
            pack_compressor(message.compressor),
            b"" if header.nonce is None else _shared(header.nonce),
            varint(message.bits),
        ]
    )
    crc = zlib.crc32(message.payload, zlib.crc32(head))
    return head, message.payload, struct.pack("<I", crc)


def read_frame(stream: BinaryIO, max_dim: int = MAX_DIM, head: bytes = b"") -> Message:
    """Read one frame from a stream of bytes, and leave the stream behind it.

    ``head`` are bytes of the frame that were taken from the stream before. Raises FormatError,
    saying what is wrong; more than ``max_dim`` coordinates are refused before anything is
    allocated.
    """
    reader = ByteReader(stream, head)
    if (magic := head + reader.take(len(MAGIC) - len(head))) != MAGIC:
        raise FormatError(f"magic is {magic.hex()}, not {MAGIC.hex()}: this is no frame")
    version, kind = reader.take(2)
    if version != VERSION:
        raise FormatError(f"version {version} is unknown; this library reads version {VERSION}")
    if kind & _RESERVED:
        raise FormatError(f"reserved flag is set in element type {kind:#04x}")
    shape = _take_shape(reader, kind >> 4, max_dim)
    exponent = struct.unpack("<h", reader.take(2))[0] if kind & _HAS_EXPONENT else None
    compressor = take_compressor(reader)
    dtype = DTYPES[kind & 0b0011]
    if exponent is not None:
        _check_exponent(exponent, dtype, compressor)
    nonce = _take_nonce(reader) if compressor.shares_randomness else None
    payload, bits = _take_payload(reader, max_dim)
    return Message(compressor, Header(shape, dtype, exponent or 0, nonce), payload, bits)


def _take_shape(reader: ByteReader, dimensions: int, max_dim: int) -> tuple[int, ...]:
    shape = tuple(reader.varint() for _ in range(dimensions))
    d = math.prod(shape)
    if not 1 <= d <= max_dim:
        raise FormatError(f"shape {shape} has {d} coordinates; allowed are 1 to max_dim={max_dim}")
    return shape


def _check_exponent(exponent: int, dtype: str, compressor: Codec) -> None:
    """Only an exponent that some array has is valid: this keeps the frame of a message unique."""
    lowest, highest = (math.frexp(value[dtype])[1] for value in (SMALLEST, LARGEST))
    if not lowest <= exponent <= highest or not compressor.scaling(exponent):
        raise FormatError(f"exponent {exponent} is not one that {compressor} gives a {dtype} array")


def _shared(nonce: int) -> bytes:
    return struct.pack("<QBI", nonce, random_streams.ALGORITHM, random_streams.fingerprint())


def _take_nonce(reader: ByteReader) -> int:
    nonce, algorithm, fingerprint = struct.unpack("<QBI", reader.take(13))
    if algorithm != random_streams.ALGORITHM:
        raise FormatError(
            f"random stream {algorithm} is unknown; known is {random_streams.ALGORITHM}"
        )
    if fingerprint != random_streams.fingerprint():
        raise FormatError(
            f"random stream has fingerprint {fingerprint:08x}, "
            f"here {random_streams.fingerprint():08x}: "
            "the generator has changed and would decode to another vector"
        )
    return nonce


def _take_payload(reader: ByteReader, max_dim: int) -> tuple[bytes, int]:
    """The payload and its length in bits, behind which the frame ends."""
    bits, most = reader.varint(), most_bits(max_dim)
    if bits > most:
        raise FormatError(f"payload of {bits} bits; allowed are {most}, or 64 max_dim if more")
    payload = reader.take(-(-bits // 8))
    crc = reader.crc
    if struct.unpack("<I", reader.take(4))[0] != crc:
        raise FormatError("CRC-32 does not match: the frame is damaged")
    if bits % 8 and payload[-1] & (0xFF >> bits % 8):
        raise FormatError("padding bits after the payload are not zero")
    return payload, bits


def parse(data: bytes, max_dim: int = MAX_DIM) -> Message:
    """Parse exactly one frame. Raises FormatError, also for bytes that trail it.

    Raises TypeError for what is not bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data is a {type(data).__name__}; allowed are the bytes of one frame")
    stream = io.BytesIO(data)
    message = read_frame(stream, max_dim)
    if trailing := len(stream.read()):
        raise FormatError(f"{trailing} bytes trail the frame")
    return message


def decode(data: bytes, max_dim: int = MAX_DIM) -> NDArray[np.floating]:
    """The array of one frame, needing nothing but its bytes.

    Raises FormatError if ``data`` is not exactly one valid frame, or declares more than ``max_dim``
    coordinates (checked before anything is allocated).
    """
    return parse(data, max_dim).decode()


def iterate(stream: BinaryIO, max_dim: int = MAX_DIM) -> Iterator[Message]:
    """The messages of concatenated frames in a file or stream, one by one.

    Raises FormatError at the first bad frame; it says how many before it were whole.
    """
    whole = 0
    while head := stream.read(1):
        try:
            message = read_frame(stream, max_dim, head)
        except FormatError as error:
            raise FormatError(f"after {whole} whole frames: {error}") from error
        whole += 1
        yield message
