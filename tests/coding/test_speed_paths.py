"""What was made fast says the same as the slow way: ranks, bit fields, level types, threads."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from paper_code import SparseDithering
from paper_code.coding import codes, words
from paper_code.coding.bits import BitReader, BitWriter, packed
from paper_code.compressors import sparse_dithering


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
        codes.write_subset(writer, mask, len(places))
        payload = writer.getvalue()
        assert int.from_bytes(payload) >> -writer.bits % 8 == rank(places)
        reader = BitReader(payload, writer.bits)
        assert np.array_equal(codes.read_subset(reader, d, len(places)), mask)


def test_largest_exact_subsets_come_back() -> None:
    d = codes.EXACT_SUBSET_DIM
    for places in subsets(d):
        mask = np.isin(np.arange(d), places)
        writer = BitWriter()
        codes.write_subset(writer, mask, len(places))
        assert writer.bits == codes.subset_bits(d, len(places))
        reader = BitReader(writer.getvalue(), writer.bits)
        assert np.array_equal(codes.read_subset(reader, d, len(places)), mask)


@pytest.mark.parametrize("offset", [0, 1, 63, 64])
@pytest.mark.parametrize("width", [1, 9, 32, 63, 64])
def test_fields_of_every_width_at_every_offset(width: int, offset: int) -> None:
    values = np.random.default_rng(width).integers(0, 1 << 63, 200).astype(np.uint64) * np.uint64(2)
    values = (values + np.uint64(1)) >> np.uint64(64 - width)
    writer = BitWriter()
    writer.write_uint(0, offset)
    writer.write_uints(values, width)
    written = "".join(f"{byte:08b}" for byte in writer.getvalue())[: writer.bits]
    assert written == "0" * offset + "".join(f"{value:0{width}b}" for value in values)
    reader = BitReader(writer.getvalue(), writer.bits)
    reader.take(offset)
    assert np.array_equal(reader.read_uints(200, width), values)


def levels_of(d: int, largest: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    levels = np.rint(rng.standard_t(2, d)).clip(-largest, largest).astype(np.int32)
    levels[rng.integers(d)] = largest  # a run of zeros over several words
    return levels


@pytest.mark.parametrize("offset", [0, 1, 31, 63, 64])
@pytest.mark.parametrize(("d", "largest"), [(1, 1), (64, 100), (65, 126), (1000, 5000)])
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
        written = "".join(f"{byte:08b}" for byte in writer.getvalue())
        assert written[: writer.bits] == expected
    reader = BitReader(writer.getvalue(), writer.bits)
    start = reader.take(offset) + offset
    at_mask, at_signs = reader.take(d), reader.take(len(nonzero))
    at_levels = codes.skip_unary(reader, len(nonzero))
    assert (at_mask, reader.remaining) == (start, 0)
    assert words.count_ones(reader.words, at_mask, d) == len(nonzero)
    for mask, place in ((reader.words, at_mask), (packed(levels != 0), 0)):
        values = np.zeros(d, np.float32)
        words.get_levels(mask, place, reader.words, at_signs, at_levels, 0.5, values)
        assert np.array_equal(values, 0.5 * levels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("positions", ["subset", "bitmap"])
def test_narrow_levels_leave_the_bytes_as_they_are(
    monkeypatch: pytest.MonkeyPatch, positions: str, unbiased: bool, dtype: type
) -> None:
    c = SparseDithering(0.1, unbiased=unbiased, positions=positions)
    x = np.random.default_rng(0).standard_normal(5000).astype(dtype)
    narrow = c.encode(x, np.random.default_rng(1)).to_bytes()
    monkeypatch.setattr(sparse_dithering, "_LARGEST_BYTE", 0)
    assert c.encode(x, np.random.default_rng(1)).to_bytes() == narrow


@pytest.mark.parametrize("d", [5760, 6452, 6554, 20_000])
def test_levels_around_what_a_byte_holds(d: int) -> None:
    """One coordinate is all there is: its level is sqrt(d / nu) / 2, here 120, 127, 128 and 223."""
    for scale in np.linspace(1, 4, 50):
        x = np.zeros(d)
        x[d // 2] = 1.0
        x[0] = scale / math.sqrt(d)
        message = SparseDithering(0.1, positions="bitmap").encode(x)
        held = message.decode()
        assert np.sum((held - x) ** 2) <= 0.1 * (1 + 1e-6) * np.sum(x**2)


def test_messages_encoded_in_threads_have_the_same_bytes() -> None:
    rows = np.random.default_rng(2).standard_normal((16, 20_000)).astype(np.float32)
    c = SparseDithering(0.1)
    alone = [c.encode(x).to_bytes() for x in rows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: c.encode(x).to_bytes(), rows))
        assert together == alone
        held = list(pool.map(lambda x: c(x), rows))
    assert all(np.array_equal(y, c(x)) for x, y in zip(rows, held, strict=True))
