"""What the bits of a payload are, as the compressor's own decoder labels them."""

from __future__ import annotations

from itertools import pairwise

from ..coding.bits import BitReader
from ..messages.message import Message


def payload_parts(message: Message) -> dict[str, int]:
    """Bits of each part of the payload by name, in order; they add up to ``message.bits``.

    What a decoder does not label is called "payload".

    >>> import numpy as np
    >>> from paper_code import SparseDithering
    >>> payload_parts(SparseDithering(0.1).encode(np.array([3.0, -4.0, 0.1, 0.0])))
    {'step': 31, 'number of zeros': 2, 'signs': 2, 'levels': 5, 'positions': 3}
    """
    reader = BitReader(message.payload, message.bits)
    message.compressor.read(reader, message.header)
    parts: dict[str, int] = {}
    labels = [("payload", 0), *reader.labels, ("", message.bits)]
    for (name, start), (_, end) in pairwise(labels):
        parts[name] = parts.get(name, 0) + end - start
    return {name: bits for name, bits in parts.items() if bits}


def frame_parts(message: Message) -> dict[str, int]:
    """The same for all bits of the frame: its header, the payload's parts, padding, checksum."""
    inside = payload_parts(message)
    padding = -message.bits % 8
    header = 8 * (len(message.to_bytes()) - 4) - message.bits - padding
    parts = {"frame": header, **inside, "padding": padding, "checksum": 32}
    return {name: bits for name, bits in parts.items() if bits}
