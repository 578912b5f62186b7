"""Bit codes: exact strings small enough to check by hand, lengths against formulas, round trips."""

import itertools
import math

import numpy as np
import pytest

from paper_code import FormatError
from paper_code.coding import codes
from paper_code.coding.codes import BitReader, BitWriter


def bits_of(writer: BitWriter) -> str:
    return "".join(f"{byte:08b}" for byte in writer.getvalue())[: writer.bits]


def reader_of(writer: BitWriter) -> BitReader:
    return BitReader(writer.getvalue(), writer.bits)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([1], "1"), ([2], "01"), ([3, 1, 2], "001" + "1" + "01"), ([0, -2, 0], "01")],
)
def test_unary_bits(numbers: list[int], expected: str) -> None:
    writer = BitWriter()
    codes.write_unary(writer, np.array(numbers))
    assert bits_of(writer) == expected
    magnitudes = [abs(k) for k in numbers if k]
    assert codes.read_unary(reader_of(writer), len(magnitudes)).tolist() == magnitudes


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
    ("mask", "expected"),
    # C(4, 2) = 6 subsets in 3 bits, ranked by C(c1, 1) + C(c2, 2)
    [
        *[("1100", "000"), ("1010", "001"), ("0110", "010"), ("1001", "011"), ("0101", "100")],
        *[("0011", "101"), ("00010", "011"), ("1111", ""), ("0000", "")],
    ],
)
def test_subset_bits(mask: str, expected: str) -> None:
    chosen = np.array([c == "1" for c in mask])
    writer = BitWriter()
    codes.write_subset(writer, chosen, int(chosen.sum()))
    assert bits_of(writer) == expected


@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_every_subset_has_its_own_rank(d: int) -> None:
    for members in range(d + 1):
        seen = set()
        for positions in itertools.combinations(range(d), members):
            mask = np.isin(np.arange(d), positions)
            writer = BitWriter()
            codes.write_subset(writer, mask, members)
            assert writer.bits == math.ceil(math.log2(math.comb(d, members)))
            assert np.array_equal(codes.read_subset(reader_of(writer), d, members), mask)
            seen.add(bits_of(writer))
        assert len(seen) == math.comb(d, members)


@pytest.mark.parametrize("d", [63, 64, 65, 700, 10_000])
@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.99])
def test_subset_takes_exactly_the_logarithm(d: int, share: float) -> None:
    mask = np.random.default_rng(d).random(d) < share
    members = int(mask.sum())
    writer = BitWriter()
    codes.write_subset(writer, mask, members)
    assert writer.bits == (math.comb(d, members) - 1).bit_length()
    assert np.array_equal(codes.read_subset(reader_of(writer), d, members), mask)


@pytest.mark.parametrize("d", [10_001, 1 << 17, (1 << 20) + 3])
@pytest.mark.parametrize("share", [0.0, 1e-5, 1e-3, 0.17, 0.5, 0.9, 1 - 1e-4])
def test_large_subset_within_one_percent_and_64_bits(d: int, share: float) -> None:
    mask = np.random.default_rng(d).random(d) < share
    mask[d // 2] = True
    members = int(mask.sum())
    writer = BitWriter()
    codes.write_subset(writer, mask, members)
    assert writer.bits <= 1.01 * codes.log2_binomial(d, members) + 64
    assert np.array_equal(codes.read_subset(reader_of(writer), d, members), mask)


def test_clustered_large_subset_costs_no_more_than_a_scattered_one() -> None:
    d, members = 1 << 16, 11_000
    mask = np.arange(d) < members
    writer = BitWriter()
    codes.write_subset(writer, mask, members)
    assert writer.bits <= 1.01 * codes.log2_binomial(d, members) + 64


def test_subset_rank_beyond_the_last_is_refused() -> None:
    for rank in (6, 7):
        writer = BitWriter()
        writer.write_uint(rank, 3)
        with pytest.raises(FormatError, match=rf"rank {rank} is not below C\(4, 2\)"):
            codes.read_subset(reader_of(writer), 4, 2)


def test_damaged_large_subset_is_refused() -> None:
    mask = np.random.default_rng(0).random(20_000) < 0.3
    writer = BitWriter()
    codes.write_subset(writer, mask, int(mask.sum()))
    payload = bytearray(writer.getvalue())
    payload[100] ^= 1
    with pytest.raises(FormatError):
        codes.read_subset(BitReader(bytes(payload), writer.bits), 20_000, int(mask.sum()))


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


@pytest.mark.parametrize("pattern", [0x7F800000, 0x7FC00000])
def test_infinite_scale_is_refused(pattern: int) -> None:
    writer = BitWriter()
    writer.write_uint(pattern, 31)
    with pytest.raises(FormatError, match="finite"):
        codes.read_positive_float(reader_of(writer))


def test_writing_at_every_offset_reads_back() -> None:
    rng = np.random.default_rng(1)
    for offset in range(130):
        writer = BitWriter()
        writer.write_uint((1 << offset) - 1, offset)
        levels = rng.integers(-70, 70, 40)
        codes.write_unary(writer, levels)
        writer.write_signs(levels)
        writer.write_mask(levels)
        writer.write_uint(12345678901234567890123, 77)
        reader = reader_of(writer)
        assert reader.read_uint(offset) == (1 << offset) - 1
        nonzero = levels[levels != 0]
        assert codes.read_unary(reader, nonzero.size).tolist() == np.abs(nonzero).tolist()
        assert np.array_equal(reader.read_mask(nonzero.size), nonzero < 0)
        assert np.array_equal(reader.read_mask(40), levels != 0)
        assert reader.read_uint(77) == 12345678901234567890123
        assert reader.remaining == 0


def test_reading_past_the_end_is_refused() -> None:
    writer = BitWriter()
    writer.write_uint(0, 9)
    for read in (
        lambda r: r.read_uint(10),
        lambda r: r.read_mask(10),
        lambda r: r.read_uints(2, 5),
        lambda r: codes.read_unary(r, 1),
        lambda r: codes.read_rice(r, 1, 3),
    ):
        with pytest.raises(FormatError, match="payload ends"):
            read(reader_of(writer))


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="value 8 does not fit into width 3"):
        BitWriter().write_uint(8, 3)
