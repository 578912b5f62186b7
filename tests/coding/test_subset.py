"""The subset code: exact ranks small enough to check by hand, lengths against the formula."""

import itertools
import math

import numpy as np
import pytest
from bit_strings import bits_of, reader_of

from paper_code import FormatError
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.coding.subset import (
    EXACT_SUBSET_DIM,
    log2_binomial,
    read_subset,
    subset_bits,
    write_subset,
)


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
    write_subset(writer, chosen, int(chosen.sum()))
    assert bits_of(writer) == expected


@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_every_subset_has_its_own_rank(d: int) -> None:
    for members in range(d + 1):
        seen = set()
        for positions in itertools.combinations(range(d), members):
            mask = np.isin(np.arange(d), positions)
            writer = BitWriter()
            write_subset(writer, mask, members)
            assert writer.bits == math.ceil(math.log2(math.comb(d, members)))
            assert np.array_equal(read_subset(reader_of(writer), d, members), mask)
            seen.add(bits_of(writer))
        assert len(seen) == math.comb(d, members)


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
        writer = BitWriter()
        write_subset(writer, mask, len(places))
        assert int(bits_of(writer), 2) == rank(places)
        assert np.array_equal(read_subset(reader_of(writer), d, len(places)), mask)


def test_largest_exact_subsets_come_back() -> None:
    d = EXACT_SUBSET_DIM
    for places in subsets(d):
        mask = np.isin(np.arange(d), places)
        writer = BitWriter()
        write_subset(writer, mask, len(places))
        assert writer.bits == subset_bits(d, len(places))
        assert np.array_equal(read_subset(reader_of(writer), d, len(places)), mask)


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
            read_subset(reader_of(writer), 4, 2)


def test_damaged_large_subset_is_refused() -> None:
    mask = np.random.default_rng(0).random(20_000) < 0.3
    writer = BitWriter()
    write_subset(writer, mask, int(mask.sum()))
    payload = bytearray(writer.getvalue())
    payload[100] ^= 1
    with pytest.raises(FormatError):
        read_subset(BitReader(bytes(payload), writer.bits), 20_000, int(mask.sum()))
