"""The subset codes: code words small enough to check by hand, lengths against the formula."""

import math

import numpy as np
import pytest
from bit_strings import bits_of, reader_of

from paper_code import FormatError
from paper_code.coding import subset_range
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.coding.subset import (
    EXACT_SUBSET_DIM,
    log2_binomial,
    read_subset,
    subset_bits,
    write_subset,
)


def written(mask: np.ndarray, ranked: bool = False) -> BitWriter:
    writer = BitWriter()
    write_subset(writer, mask, int(mask.sum()), ranked)
    return writer


@pytest.mark.parametrize(
    ("mask", "expected"),
    # the i-th of C(4, 2) = 6 subsets has [i / 6, (i + 1) / 6): its first multiple of 1/8
    [
        *[("1100", "000"), ("1010", "010"), ("1001", "011"), ("0110", "100"), ("0101", "110")],
        *[("0011", "111"), ("00010", "101"), ("11100", "0000"), ("00111", "1111")],
        *[("0100", "01"), ("0001", "11"), ("1110", "00"), ("1111", ""), ("0000", "")],
    ],
)
def test_subset_bits(mask: str, expected: str) -> None:
    assert bits_of(written(np.array([c == "1" for c in mask]))) == expected


@pytest.mark.parametrize(
    ("mask", "expected"),
    # C(4, 2) = 6 subsets in 3 bits, ranked by C(c1, 1) + C(c2, 2)
    [
        *[("1100", "000"), ("1010", "001"), ("0110", "010"), ("1001", "011"), ("0101", "100")],
        *[("0011", "101"), ("00010", "011"), ("1111", ""), ("0000", "")],
    ],
)
def test_rank_bits(mask: str, expected: str) -> None:
    assert bits_of(written(np.array([c == "1" for c in mask]), ranked=True)) == expected


@pytest.mark.parametrize("ranked", [False, True])
@pytest.mark.parametrize("d", [1, 2, 5, 8, 9])
def test_a_code_word_is_that_of_one_subset_or_refused(d: int, ranked: bool) -> None:
    for members in range(d + 1):
        length = subset_bits(d, members)
        assert length == math.ceil(math.log2(math.comb(d, members)))
        seen = set()
        for word in range(1 << length):
            payload = BitWriter()
            payload.write_uint(word, length)
            try:
                mask = read_subset(reader_of(payload), d, members, ranked)
            except FormatError:
                continue
            again = written(mask, ranked)
            assert (again.bits, again.getvalue()) == (length, payload.getvalue())
            seen.add(mask.tobytes())
        assert len(seen) == math.comb(d, members)


@pytest.mark.parametrize(
    ("d", "members"),
    # C is just below a power of two: no other C(d, n), 1 < n < d - 1, is as near
    [(8790, 3786), (5150, 2255), (8627, 3623), (7326, 842), (2641, 387)],
)
def test_rounding_takes_no_bit_where_the_last_one_is_nearly_full(d: int, members: int) -> None:
    assert math.ceil(log2_binomial(d, members)) - log2_binomial(d, members) < 2e-7
    first = np.arange(d) < members  # its parts are the smallest, so that rounding costs it most
    for mask in (first, first[::-1], np.random.default_rng(d).permutation(first)):
        writer = written(mask)
        assert writer.bits == subset_bits(d, members)
        assert np.array_equal(read_subset(reader_of(writer), d, members), mask)


def test_lengths_from_factorials_are_those_of_the_binomial() -> None:
    for d in (2, 3, 64, 100, 1023, 1024):
        for members in range(1, d):
            length = subset_range.length(d, members)
            power_of_two = math.comb(d, members).bit_count() == 1
            assert length == (None if power_of_two else subset_bits(d, members))


def rank(places: list[int]) -> int:
    return sum(math.comb(place, i + 1) for i, place in enumerate(sorted(places)))


def subsets(d: int) -> list[list[int]]:
    """Random ones, and those whose rank is a binomial, or nearly: no ratio tells these apart."""
    rng = np.random.default_rng(d)
    shares = [rng.choice(d, max(1, int(d * share)), replace=False) for share in (0.01, 0.25, 0.9)]
    runs = [
        range(d // 3),
        range(d // 2, d),
        [*range(d // 4), d - 1],
        [*range(d // 4), d // 2, d - 1],
    ]
    combs = [
        range(0, d, 2),
        [0],
        [d - 1],
        range(1, d),
        [1, d - 2, d - 1],
        [*range(d // 4), d // 4 + 1],
    ]
    return [sorted({int(place) for place in places}) for places in [*shares, *runs, *combs]]


@pytest.mark.parametrize("d", [4, 5, 17, 64, 129, 1023, 3000])
def test_subset_rank_is_the_sum_of_binomials(d: int) -> None:
    for places in subsets(d):
        mask = np.isin(np.arange(d), places)
        writer = written(mask, ranked=True)
        assert int(bits_of(writer), 2) == rank(places)
        assert np.array_equal(read_subset(reader_of(writer), d, len(places), True), mask)


@pytest.mark.parametrize("ranked", [False, True])
@pytest.mark.parametrize("d", [17, 1024, EXACT_SUBSET_DIM])
def test_subsets_come_back_from_as_few_bits_as_there_can_be(d: int, ranked: bool) -> None:
    for places in subsets(d):
        mask = np.isin(np.arange(d), places)
        writer = written(mask, ranked)
        assert writer.bits == subset_bits(d, len(places))
        assert np.array_equal(read_subset(reader_of(writer), d, len(places), ranked), mask)


@pytest.mark.parametrize("d", [10_001, 1 << 17, (1 << 20) + 3])
@pytest.mark.parametrize("share", [0.0, 1e-5, 1e-3, 0.17, 0.5, 0.9, 1 - 1e-4])
def test_large_subset_within_one_percent_and_64_bits(d: int, share: float) -> None:
    mask = np.random.default_rng(d).random(d) < share
    mask[d // 2] = True
    members = int(mask.sum())
    writer = BitWriter()
    write_subset(writer, mask, members)
    assert writer.bits <= 1.01 * log2_binomial(d, members) + 64
    assert np.array_equal(read_subset(reader_of(writer), d, members), mask)


def test_clustered_large_subset_costs_no_more_than_a_scattered_one() -> None:
    d, members = 1 << 16, 11_000
    mask = np.arange(d) < members
    writer = BitWriter()
    write_subset(writer, mask, members)
    assert writer.bits <= 1.01 * log2_binomial(d, members) + 64


def test_subset_rank_beyond_the_last_is_refused() -> None:
    for rank in (6, 7):
        writer = BitWriter()
        writer.write_uint(rank, 3)
        with pytest.raises(FormatError, match=rf"rank {rank} is not below C\(4, 2\)"):
            read_subset(reader_of(writer), 4, 2, ranked=True)


def test_a_damaged_or_short_range_code_is_refused() -> None:
    d, members = 1000, 170
    writer = written(np.random.default_rng(0).permutation(d) < members)
    value = int.from_bytes(writer.getvalue()) >> -writer.bits % 8
    others = [value ^ 1 << i for i in range(writer.bits)] + [0, (1 << writer.bits) - 1]
    refused = 0
    for other in others:
        payload = BitWriter()
        payload.write_uint(other, writer.bits)
        try:
            mask = read_subset(reader_of(payload), d, members)
        except FormatError as error:
            assert "it names no 170 of 1000 coordinates" in str(error)
            refused += 1
        else:
            assert bits_of(written(mask)) == bits_of(payload)
    assert refused  # C / 2^L = .6 of the code words have a subset
    with pytest.raises(FormatError, match="payload ends"):
        read_subset(BitReader(writer.getvalue()[:-8], writer.bits - 64), d, members)


def test_damaged_large_subset_is_refused() -> None:
    mask = np.random.default_rng(0).random(20_000) < 0.3
    writer = BitWriter()
    write_subset(writer, mask, int(mask.sum()))
    payload = bytearray(writer.getvalue())
    payload[100] ^= 1
    with pytest.raises(FormatError):
        read_subset(BitReader(bytes(payload), writer.bits), 20_000, int(mask.sum()))
