"""The writer and the reader of bits: fields of any width, masks, signs, at any offset."""

import numpy as np
import pytest
from bit_strings import bits_of, reader_of

from paper_code import FormatError
from paper_code.coding.bits import BitReader, BitWriter


@pytest.mark.parametrize("offset", [0, 1, 63, 64])
@pytest.mark.parametrize("width", [1, 9, 16, 32, 63, 64])
def test_fields_of_every_width_at_every_offset(width: int, offset: int) -> None:
    values = np.random.default_rng(width).integers(0, 1 << 63, 199).astype(np.uint64) * np.uint64(2)
    values = (values + np.uint64(1)) >> np.uint64(64 - width)
    writer = BitWriter()
    writer.write_uint(0, offset)
    writer.write_uints(values, width)
    expected = "0" * offset + "".join(f"{value:0{width}b}" for value in values)
    assert bits_of(writer) == expected
    writer.write_uint(1, 1)  # after the bytes were looked at, and behind half a word
    writer.write_uints(values, width)
    assert bits_of(writer) == expected + "1" + expected[offset:]
    reader = reader_of(writer)
    reader.take(offset)
    assert np.array_equal(reader.read_uints(199, width), values)


@pytest.mark.parametrize("offset", [0, 1, 63, 64])
def test_another_writers_bits_are_appended(offset: int) -> None:
    for bits in (0, 1, 64, 65, 200):
        first, second = BitWriter(), BitWriter()
        first.write_uint((1 << offset) - 1, offset)
        second.write_mask(np.arange(bits) % 3)
        expected = bits_of(first) + bits_of(second)
        first.append(second)
        assert bits_of(first) == expected


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="value 8 does not fit into width 3"):
        BitWriter().write_uint(8, 3)


@pytest.mark.parametrize("wanted", [10, 64, 1000])
def test_reading_past_the_end_is_refused(wanted: int) -> None:
    writer = BitWriter()
    writer.write_uint(0, 9)
    with pytest.raises(FormatError, match="payload ends"):
        reader_of(writer).read_uint(wanted)
    with pytest.raises(FormatError, match="payload ends"):
        reader_of(writer).read_mask(wanted)
    with pytest.raises(FormatError, match="payload ends"):
        reader_of(writer).read_uints(wanted // 5, 5)


def test_a_payload_of_another_length_than_its_bits_is_refused() -> None:
    with pytest.raises(FormatError, match="payload has 2 bytes, not what 17 bits take"):
        BitReader(b"ab", 17)
