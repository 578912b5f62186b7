"""The decoder against constriction's own, symbol by symbol, and on words that nobody wrote."""

import constriction
import numpy as np
import pytest

from paper_code.coding.ans import Decoder, intervals, write_coder
from paper_code.coding.bits import BitReader, BitWriter

RNG = np.random.default_rng(0)
COUNTS = {
    "two": np.array([1.0, 1.0]),
    "one is nearly all": np.array([1.0, 1e9, 1.0]),
    "gaps": np.array([3.0, 0.0, 0.0, 5.0, 0.0, 1.0]),
    "many": RNG.integers(0, 1000, 400).astype(float),
    "heavy tail": np.floor(RNG.pareto(0.3, 200)) + 1,
    "thirds": np.ones(3),
    "the last is rare": np.append(RNG.integers(1, 10**6, 257).astype(float), 1),
}


def reader_of(coder: constriction.stream.stack.AnsCoder) -> BitReader:
    writer = BitWriter()
    write_coder(writer, coder)
    return BitReader(writer.getvalue(), writer.bits)


@pytest.mark.parametrize("name", COUNTS)
def test_intervals_are_constrictions(name: str) -> None:
    """Both ends of every symbol's interval, told by the lowest 24 bits of a state."""
    probabilities = COUNTS[name] / COUNTS[name].sum()
    begin = intervals(probabilities).begin
    model = constriction.stream.model.Categorical(probabilities, perfect=False)
    for symbol in range(len(probabilities)):
        for quantile in (begin[symbol], begin[symbol + 1] - np.uint64(1)):
            words = np.array([int(quantile) | 1 << 24, 1], np.uint32)
            coder = constriction.stream.stack.AnsCoder(words)
            assert coder.decode(model) == symbol


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000])
def test_it_reads_what_constriction_wrote_with_changing_models(size: int) -> None:
    models = [COUNTS[name] / COUNTS[name].sum() for name in ("many", "gaps", "one is nearly all")]
    drawn = [RNG.choice(len(p), size, p=p).astype(np.int32) for p in models]
    coder = constriction.stream.stack.AnsCoder()
    for symbols, p in zip(drawn[::-1], models[::-1], strict=True):
        coder.encode_reverse(symbols, constriction.stream.model.Categorical(p, perfect=False))
    decoder = Decoder(reader_of(coder))
    for symbols, p in zip(drawn, models, strict=True):
        np.testing.assert_array_equal(decoder.decode(intervals(p), size), symbols)
    assert decoder.is_empty()


@pytest.mark.parametrize("bits", [1, 31, 32, 33, 64, 65, 500])
def test_words_that_nobody_wrote_are_read_as_constriction_reads_them(bits: int) -> None:
    p = COUNTS["many"] / COUNTS["many"].sum()
    data = bytearray(np.random.default_rng(bits).bytes(-(-bits // 8)))
    data[0] |= 0x80  # the first word begins with a one
    data[-1] &= 0xFF << -bits % 8 & 0xFF
    decoder, reader = Decoder(BitReader(bytes(data), bits)), BitReader(bytes(data), bits)
    head = (bits - 1) % 32 + 1
    rest = bits // 32 - (head == 32)
    words = [reader.read_uint(head), *(reader.read_uint(32) for _ in range(rest))]
    theirs = constriction.stream.stack.AnsCoder(np.array(words[::-1], np.uint32))
    model = constriction.stream.model.Categorical(p, perfect=False)
    ours = decoder.decode(intervals(p), 100)
    np.testing.assert_array_equal(ours, theirs.decode(model, 100))
    assert decoder.is_empty() == theirs.is_empty()
