"""What must hold for any bytes at all: a finite array of the declared shape, or a FormatError."""

import zlib

import numpy as np

from paper_code import FormatError, Message

MAX_DIM = 1 << 14  # above codes.EXACT_SUBSET_DIM, so that both subset codes are met


def raw(data: bytes) -> None:
    """Bytes as a stranger sends them."""
    try:
        message = Message.from_bytes(data, MAX_DIM)
        held = message.decode()
    except FormatError:
        return
    assert message.to_bytes() == data, "this message has another frame as well"
    assert held.shape == message.header.shape
    assert np.all(np.isfinite(held))


def repaired(body: bytes) -> None:
    """The same with a valid CRC-32 behind them, so that the code beyond that check is reached."""
    raw(repair(body))


def repair(body: bytes) -> bytes:
    """A frame from all of it but its CRC-32."""
    return body + zlib.crc32(body).to_bytes(4, "little")
