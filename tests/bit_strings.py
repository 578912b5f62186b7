"""What a writer wrote as a string of bits, and a reader of it."""

from paper_code.coding.bits import BitReader, BitWriter


def bits_of(writer: BitWriter) -> str:
    """Such as "0010"."""
    return "".join(f"{byte:08b}" for byte in writer.getvalue())[: writer.bits]


def reader_of(writer: BitWriter) -> BitReader:
    """A reader of all that was written."""
    return BitReader(writer.getvalue(), writer.bits)
