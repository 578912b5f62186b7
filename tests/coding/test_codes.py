"""Codes of numbers: exact strings small enough to check by hand, lengths, round trips."""

import numpy as np
import pytest
from bit_strings import bits_of, reader_of

from paper_code import FormatError
from paper_code.coding import codes, words
from paper_code.coding.bits import BitWriter, packed


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([1], "1"), ([2], "01"), ([3, 1, 2], "001" + "1" + "01"), ([0, -2, 0], "01")],
)
def test_unary_bits(numbers: list[int], expected: str) -> None:
    writer = BitWriter()
    codes.write_unary(writer, np.array(numbers))
    assert bits_of(writer) == expected
    magnitudes = [abs(k) for k in numbers if k]
    # a Rice code of parameter 0 is unary, less one
    assert codes.read_rice(reader_of(writer), len(magnitudes), 0).tolist() == [
        k - 1 for k in magnitudes
    ]


def levels_of(d: int, largest: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    levels = np.rint(rng.standard_t(2, d)).clip(-largest, largest).astype(np.int32)
    levels[rng.integers(d)] = largest  # a run of zeros over several words
    return levels


@pytest.mark.parametrize("offset", [0, 1, 31, 63, 64])
@pytest.mark.parametrize(("d", "largest"), [(1, 1), (64, 100), (65, 126), (1000, 60), (1000, 5000)])
def test_levels_as_bits_spelled_out(d: int, largest: int, offset: int) -> None:
    levels = levels_of(d, largest, offset)
    nonzero = [int(k) for k in levels if k]
    expected = "0" * offset + "".join("1" if k else "0" for k in levels)
    expected += "".join("1" if k < 0 else "0" for k in nonzero)
    expected += "".join("0" * (abs(k) - 1) + "1" for k in nonzero)
    for kind in [np.int32, np.int8] if largest < 128 else [np.int32]:
        narrow = levels.astype(kind)
        writer = BitWriter()
        writer.write_uint(0, offset)
        writer.write_mask(narrow)
        writer.write_signs(narrow)
        codes.write_unary(writer, narrow)
        assert bits_of(writer) == expected
    reader = reader_of(writer)
    start = reader.take(offset) + offset
    at_mask, at_signs = reader.take(d), reader.take(len(nonzero))
    at_levels = codes.skip_unary(reader, len(nonzero))
    assert (at_mask, reader.remaining) == (start, 0)
    assert words.count_ones(reader.words, at_mask, d) == len(nonzero)
    for mask, place in ((reader.words, at_mask), (packed(levels != 0), 0)):
        values = np.zeros(d, np.float32)
        words.get_levels(mask, place, reader.words, at_signs, at_levels, 0.5, values)
        assert np.array_equal(values, 0.5 * levels)


@pytest.mark.parametrize(
    ("value", "parameter", "expected"),
    [(0, 0, "1"), (3, 0, "0001"), (0, 2, "100"), (5, 2, "0101"), (9, 2, "00101"), (6, 3, "1110")],
)
def test_rice_bits(value: int, parameter: int, expected: str) -> None:
    writer = BitWriter()
    codes.write_rice(writer, value, parameter)
    assert bits_of(writer) == expected
    assert codes.read_rice(reader_of(writer), 1, parameter).tolist() == [value]


def test_rice_numbers_of_64_bits() -> None:
    writer, largest = BitWriter(), 2**64 - 1
    codes.write_rice(writer, np.array([largest, 0], np.uint64), 62)
    assert writer.bits == (3 + 1 + 62) + (1 + 62)
    assert codes.read_rice(reader_of(writer), 2, 62).tolist() == [largest, 0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0" * 31), (1.0, "01111111" + "0" * 23), (1.5, "01111111" + "1" + "0" * 22)],
)
def test_positive_float_is_31_bits(value: float, expected: str) -> None:
    writer = BitWriter()
    codes.write_positive_float(writer, value)
    assert bits_of(writer) == expected
    assert codes.read_positive_float(reader_of(writer)) == value


@pytest.mark.parametrize("value", [-1.0, np.inf, np.nan, 0.1])
def test_positive_float_refuses(value: float) -> None:
    with pytest.raises(ValueError, match="finite non-negative float32"):
        codes.write_positive_float(BitWriter(), value)


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [(1.5, 9, "01111111" + "1"), (1.25, 11, "01111111" + "010"), (0.0, 9, "0" * 9)],
)
def test_a_short_positive_float_is_the_first_of_31_bits(
    value: float, bits: int, expected: str
) -> None:
    writer = BitWriter()
    codes.write_positive_float(writer, value, bits)
    assert bits_of(writer) == expected
    assert codes.read_positive_float(reader_of(writer), bits) == value


def test_a_value_that_a_short_float_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1.25 is not a float32 with a mantissa of 1 bits"):
        codes.write_positive_float(BitWriter(), 1.25, 9)
    writer = BitWriter()
    writer.write_uint(0x7F800000 >> 22, 9)
    with pytest.raises(FormatError, match="finite"):
        codes.read_positive_float(reader_of(writer), 9)


@pytest.mark.parametrize("pattern", [0x7F800000, 0x7FC00000])
def test_infinite_scale_is_refused(pattern: int) -> None:
    writer = BitWriter()
    writer.write_uint(pattern, 31)
    with pytest.raises(FormatError, match="finite"):
        codes.read_positive_float(reader_of(writer))


def test_numbers_cut_off_are_refused() -> None:
    writer = BitWriter()
    writer.write_uint(0, 9)
    for read in (lambda r: codes.skip_unary(r, 1), lambda r: codes.read_rice(r, 1, 3)):
        with pytest.raises(FormatError, match="payload ends inside"):
            read(reader_of(writer))
    for read in (lambda r: codes.skip_unary(r, 10), lambda r: codes.read_rice(r, 10, 3)):
        with pytest.raises(FormatError, match="payload ends: 10"):
            read(reader_of(writer))
