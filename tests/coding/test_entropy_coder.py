"""Entropy-coded levels: every level has a symbol, models near the histogram, groups come back."""

import numpy as np
import pytest
from bit_strings import bits_of, reader_of

from paper_code import FormatError
from paper_code.coding import alphabet, entropy_coder
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.coding.elias_gamma import read_gamma, write_gamma
from paper_code.coding.histogram import read_counts, write_counts
from paper_code.coding.models import CellModels

MODELS = CellModels(points=5, offsets=(-2, -2, -2))


def test_every_level_has_a_symbol_and_comes_back() -> None:
    rng = np.random.default_rng(5)
    sizes = np.concatenate([np.arange(300), 2 ** rng.uniform(0, 31, 2000)]).astype(np.int64)
    levels = (np.minimum(sizes, 2**31 - 1) * rng.choice([-1, 1], sizes.size)).astype(np.int32)
    histogram = np.zeros(alphabet.SYMBOLS, np.int64)
    raw = alphabet.count(levels, histogram)
    assert histogram.sum() == levels.size
    words, numbers = np.zeros(raw // 64 + 2, np.uint64), np.empty(levels.size, np.int32)
    alphabet.to_symbols(levels, 0, numbers)
    assert np.array_equal(np.bincount(numbers, minlength=alphabet.SYMBOLS), histogram)
    assert alphabet.put_raw(words, 0, levels) == raw
    assert alphabet.from_symbols(numbers, 0, words, 0, raw) == raw
    assert np.array_equal(numbers, levels)


def test_counts_come_back_within_three_percent() -> None:
    histogram = np.zeros(alphabet.SYMBOLS, np.int64)
    histogram[200:260] = np.random.default_rng(6).integers(0, 1 << 26, 60)
    writer = BitWriter()
    rounded = write_counts(writer, histogram)
    assert np.array_equal(read_counts(reader_of(writer)), rounded)
    assert np.all(np.abs(rounded - histogram) <= histogram / 32)  # half of the fifth bit


def test_a_model_cut_short_or_of_symbols_that_there_are_not_is_refused() -> None:
    histogram = np.zeros(alphabet.SYMBOLS, np.int64)
    histogram[-3:] = 1, 0, 37
    writer = BitWriter()
    write_counts(writer, histogram)
    # first symbol 460, of three; lengths 1, 0 and 6 by their change; 38, which is 10011 and a zero
    first = f"{2 * (alphabet.REACH - 2) + 1:b}"
    told = "0" * (len(first) - 1) + first + "00100" + "011" + "010" + "0001101" + "0011"
    assert bits_of(writer) == told
    for bits in range(writer.bits):
        cut = BitWriter()
        cut.write_uint(int(told[:bits] or "0", 2), bits)
        with pytest.raises(FormatError, match="does not hold a model"):
            read_counts(reader_of(cut))
    beyond = BitWriter()
    write_gamma(beyond, 2 * alphabet.REACH + 1)
    write_gamma(beyond, 3)
    with pytest.raises(FormatError, match="does not hold a model"):
        read_counts(reader_of(beyond))
    with pytest.raises(FormatError, match="48 leading zeros"):
        read_gamma(BitReader(bytes(6) + b"\x40" + bytes(8), 120))


@pytest.mark.parametrize("size", [10, 3000, 1 << 18])
def test_levels_of_several_groups_cost_their_entropy(size: int) -> None:
    """Geometric levels of three scales, an empty group and an outlier: within 2 % and 400 bits."""
    rng = np.random.default_rng(size)
    groups = [np.rint(rng.laplace(0, scale, size)).astype(np.int32) for scale in (0.3, 2)]
    groups.append(np.array([], np.int32))
    groups[1][0] = 2**31 - 1
    writer = BitWriter()
    entropy_coder.write_levels(writer, groups, MODELS)
    levels = entropy_coder.read_levels(reader_of(writer), [g.size for g in groups], MODELS)
    assert np.array_equal(levels, np.concatenate(groups))
    entropy = 0.0
    for group in groups[:2]:
        counts = np.unique(group, return_counts=True)[1]
        entropy -= (counts * np.log2(counts / size)).sum()
    assert writer.bits <= 1.02 * entropy + 400


def test_levels_that_a_byte_holds_come_in_bytes() -> None:
    for largest, dtype in ((127, np.int8), (129, np.int32)):
        writer, levels = BitWriter(), np.array([1, -largest, 0], np.int32)
        entropy_coder.write_levels(writer, [levels], CellModels(5, (-2,)))
        held = entropy_coder.read_levels(reader_of(writer), [3], CellModels(5, (-2,)))
        assert held.dtype == dtype and np.array_equal(held, levels)


def test_bits_left_over_are_refused() -> None:
    writer = BitWriter()
    writer.write_uint(1, 3)
    entropy_coder.write_levels(writer, [np.arange(-9, 9, dtype=np.int32)], CellModels(5, (-2,)))
    reader = reader_of(writer)
    reader.read_uint(3)
    with pytest.raises(FormatError, match="bits are left after the last level"):
        entropy_coder.read_levels(reader, [17], CellModels(5, (-2,)))
