"""The words of an entropy coder (asymmetric numeral systems) as the end of a payload.

The coder is constriction's; its words of 32 bits are read from the last to the first. The first
one's leading zeros say nothing and are not sent, so the length of the payload settles them all.
"""

from __future__ import annotations

import constriction
import numpy as np

from .bits import BitReader, BitWriter, FormatError


def write_coder(writer: BitWriter, coder: constriction.stream.stack.AnsCoder) -> None:
    """Write a coder's words. Must come last in a payload."""
    words = np.ascontiguousarray(coder.get_compressed()[::-1])
    if words.size:
        writer.write_uint(int(words[0]), int(words[0]).bit_length())
        writer.write_uints(words[1:], 32)


def read_coder(reader: BitReader) -> constriction.stream.stack.AnsCoder:
    """The coder whose words are what is left of the payload. Raises FormatError if none's are."""
    if not reader.remaining:
        return constriction.stream.stack.AnsCoder()
    head = (reader.remaining - 1) % 32 + 1
    first = reader.read_uint(head)
    if first.bit_length() != head:
        raise FormatError("entropy code does not begin with a one")
    rest = reader.read_uints(reader.remaining // 32, 32, "uint32")
    return constriction.stream.stack.AnsCoder(np.append(rest[::-1], np.uint32(first)))
