"""The subset code: which of d coordinates are meant, in no more bits than there are subsets."""

from __future__ import annotations

import math
from functools import lru_cache

import constriction
import numpy as np
from numpy.typing import NDArray

from . import subset_range, subset_rank
from .ans import read_coder, write_coder
from .bits import BitReader, BitWriter, FormatError, ceil_log2

EXACT_SUBSET_DIM = subset_range.LARGEST_DIM
"""Up to this many coordinates a subset costs exactly ceil(log2 C(d, n)) bits."""

_PRECISION = 24  # of constriction's models, in bits


def log2_binomial(d: int, members: int) -> float:
    """log2 C(d, members), for any size."""
    if d <= EXACT_SUBSET_DIM:
        return math.log2(math.comb(d, members))
    natural = math.lgamma(d + 1) - math.lgamma(members + 1) - math.lgamma(d - members + 1)
    return natural / math.log(2)


def subset_bits(d: int, members: int) -> int:
    """Length of the exact subset code, ceil(log2 C(d, members)) bits (d <= 10 000)."""
    return ceil_log2(math.comb(d, members))


@lru_cache(maxsize=1024)  # messages of one kind have about as many members; 3 MB at most
def _binomial(d: int, members: int) -> tuple[NDArray[np.uint64], int, int]:
    """C(d, members): its digits as in ``subset_rank``, their number, and as an int."""
    digits = np.zeros(d // 64 + 4, np.uint64)
    size = subset_rank.binomial(d, members, digits)
    return digits, size, int.from_bytes(digits.astype("<u8").tobytes(), "little")


def write_subset(
    writer: BitWriter, mask: NDArray[np.bool_], members: int, ranked: bool = False
) -> None:
    """Say which ``members`` of the d coordinates are in ``mask``. Must come last in a payload.

    d <= 10 000: exactly ceil(log2 C(d, members)) bits, in time linear in d: a range coder with
    exact counts (``subset_range``). ``ranked``, or where those bits are too few for it: the rank
    among all subsets (combinatorial number system), quadratic in d.

    Beyond: asymmetric numeral systems, within 1 % + 64 bits of log2 C(d, members), in linear time;
    its length is what is left of the payload.
    """
    d = mask.size
    if members in (0, d):
        return
    if d > EXACT_SUBSET_DIM:
        _write_entropy_coded_subset(writer, mask, members)
    elif ranked or (length := subset_range.length(d, members)) is None:
        _write_rank(writer, mask, members)
    else:
        digits = np.zeros(length // 16 + 6, np.uint16)
        subset_range.encode(mask, members, length, subset_range.inverses(), digits)
        whole, rest = divmod(length, 16)
        writer.write_uints(digits[1 : 1 + whole], 16)
        writer.write_uint(int(digits[1 + whole]) >> (16 - rest), rest)


def read_subset(reader: BitReader, d: int, members: int, ranked: bool = False) -> NDArray[np.bool_]:
    """Read the boolean mask of a subset of known size."""
    if members in (0, d):
        return np.full(d, members == d)
    if d > EXACT_SUBSET_DIM:
        return _read_entropy_coded_subset(reader, d, members)
    if ranked or (length := subset_range.length(d, members)) is None:
        return _read_rank(reader, d, members)
    whole, rest = divmod(length, 16)
    digits = np.zeros(whole + 6, np.uint16)
    digits[:whole] = reader.read_uints(whole, 16, "uint16")
    digits[whole] = reader.read_uint(rest) << (16 - rest)
    mask = np.empty(d, np.bool_)
    if not subset_range.decode(digits, members, length, subset_range.inverses(), mask):
        raise FormatError(f"subset code is damaged: it names no {members} of {d} coordinates")
    return mask


def _write_rank(writer: BitWriter, mask: NDArray[np.bool_], members: int) -> None:
    rank = np.zeros(mask.size // 64 + 4, np.uint64)
    subset_rank.rank_subset(mask, members, rank)
    whole, rest = divmod(ceil_log2(_binomial(mask.size, members)[2]), 64)
    writer.write_uint(int(rank[whole]), rest)
    writer.write_uints(rank[:whole][::-1].copy(), 64)


def _read_rank(reader: BitReader, d: int, members: int) -> NDArray[np.bool_]:
    binomial, size, count = _binomial(d, members)
    whole, rest = divmod(ceil_log2(count), 64)
    rank = np.zeros(d // 64 + 4, np.uint64)
    rank[whole] = reader.read_uint(rest)
    rank[:whole] = reader.read_uints(whole, 64)[::-1]
    number = int.from_bytes(rank.astype("<u8").tobytes(), "little")
    if number >= count:
        raise FormatError(f"subset rank {number} is not below C({d}, {members})")
    mask = np.zeros(d, np.bool_)
    subset_rank.unrank_subset(rank, binomial.copy(), size, members, mask)
    return mask


def _subset_model(d: int, members: int) -> tuple[object, int]:
    """constriction's model of ``group`` coordinates at a time, from the integer counts alone.

    Eight at a time is eight times faster; for very rare members the floor of 2^-24 on the
    probability of each of the 256 groups would cost too much, and coordinates go one by one.
    """
    group = 8 if 8192 * min(members, d - members) >= d else 1
    weights = [
        max(1, (members**k * (d - members) ** (group - k) << _PRECISION) // d**group)
        for k in range(group + 1)
    ]
    counts = np.array([weights[pattern.bit_count()] for pattern in range(1 << group)], np.float64)
    model = constriction.stream.model.Categorical(counts / counts.sum(), perfect=False)
    return model, group


def _write_entropy_coded_subset(writer: BitWriter, mask: NDArray[np.bool_], members: int) -> None:
    model, group = _subset_model(mask.size, members)
    symbols = np.packbits(mask) if group == 8 else mask
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols.astype(np.int32), model)
    write_coder(writer, coder)


def _read_entropy_coded_subset(reader: BitReader, d: int, members: int) -> NDArray[np.bool_]:
    coder = read_coder(reader)
    model, group = _subset_model(d, members)
    symbols = coder.decode(model, -(-d // group)).astype(np.uint8)
    bits = np.unpackbits(symbols) if group == 8 else symbols
    if not coder.is_empty() or np.any(bits[d:]) or np.count_nonzero(bits[:d]) != members:
        raise FormatError(f"subset code is damaged: it does not hold {members} of {d} coordinates")
    return bits[:d].astype(np.bool_)
