"""Entropy-coded levels: the models of their symbols, their raw bits, and the coder's words.

A scheme hands over its levels in groups, one model a group. A model is either the histogram itself,
each count rounded to five significant bits, or a member of a parametric family, which is cheaper
for small d. Both are integers, so sender and receiver build the same model anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from ..numerics.blocks import BLOCK, blocks
from ..numerics.compiled import kernel
from . import alphabet
from .alphabet import SYMBOLS
from .ans import Decoder, intervals, write_coder
from .bits import BitReader, BitWriter, FormatError
from .elias_gamma import read_gamma, write_gamma
from .histogram import least_bits, read_counts, write_counts
from .models import model_bits

_PARAMETRIC_DIM = 1 << 18  # beyond, the counts cost nothing beside the levels


class ParametricFamily(Protocol):
    """Models by a parameter of ``width`` bits: positive weights of every symbol in every group."""

    @property
    def width(self) -> int:
        """Bits of a parameter."""

    def weights(self, parameter: int) -> NDArray[np.int64]:
        """Weights, groups x SYMBOLS. Raises FormatError for a parameter that no model has."""

    def fit(self, histograms: NDArray[np.int64]) -> int:
        """The parameter of a model that codes these symbols in few bits."""


def write_levels(
    writer: BitWriter, groups: Sequence[NDArray[np.int32]], family: ParametricFamily
) -> None:
    """Write the levels, each within +-(2**31 - 1). Must come last in a payload.

    A bit for the kind of model, the model, the number of raw bits (Elias gamma), these, the coder's
    words.
    """
    histograms = np.zeros((len(groups), SYMBOLS), np.int64)
    raw = sum(alphabet.count(g, h) for g, h in zip(groups, histograms, strict=True))
    weights = _write_model(writer, histograms, family)
    write_gamma(writer, raw + 1)
    if raw:
        words = writer.reserve(raw)
        for group in groups:
            writer.bits = alphabet.put_raw(words, writer.bits, group)
    coder = constriction.stream.stack.AnsCoder()
    for group, weight in reversed(list(zip(groups, weights, strict=True))):
        if group.size:
            first, probabilities = _probabilities(weight)
            model = constriction.stream.model.Categorical(probabilities, perfect=False)
            for part in list(blocks(group))[::-1]:
                numbers = np.empty(part.size, np.int32)
                alphabet.to_symbols(part, first, numbers)
                coder.encode_reverse(numbers, model)
    write_coder(writer, coder)


def read_levels(
    reader: BitReader,
    sizes: Sequence[int | Callable[[NDArray[np.signedinteger]], int]],
    family: ParametricFamily,
    total: int | None = None,
) -> NDArray[np.signedinteger]:
    """Read what ``write_levels`` wrote, given the size of every group: the groups in a row.

    A size may be a function of the levels read before; then ``total`` is the sum of all sizes.
    A byte each where all the levels fit, else four.
    """
    reader.label("model")
    weights = _read_model(reader, len(sizes), family)
    reader.label("levels")
    raw = read_gamma(reader) - 1
    position = reader.take(raw)
    end = reader.position
    coder = Decoder(reader)
    if total is None:
        total = sum(size for size in sizes if not callable(size))
    levels, stop = np.empty(total, np.int8), 0
    for given, weight in zip(sizes, weights, strict=True):
        size = given(levels[:stop]) if callable(given) else given
        if not size:
            continue
        first, probabilities = _probabilities(weight)
        model = intervals(probabilities)
        start, stop = stop, stop + size
        while start < stop:
            part = coder.decode(model, min(BLOCK, stop - start))
            position = alphabet.from_symbols(part, first, reader.words, position, end)
            if position < 0:
                raise FormatError("payload ends inside the raw bits of a level")
            if not alphabet.store(part, levels[start : start + part.size]):
                levels = levels.astype(np.int32)
                alphabet.store(part, levels[start : start + part.size])
            start += part.size
    if position != end or not coder.is_empty():
        raise FormatError("entropy code is damaged: bits are left after the last level")
    return levels


@kernel
def _probabilities(weights):  # noqa: ANN001, ANN202 - numba infers the types
    """The smallest used symbol, and the probabilities of the symbols from there on."""
    used = np.flatnonzero(weights)
    if not used.size:
        raise FormatError("a group of levels has an empty model")
    first = min(used[0], SYMBOLS - 2)  # a model has two symbols at least
    counts = weights[first : max(used[-1], first + 1) + 1]
    return first, counts / counts.sum()


def _write_model(
    writer: BitWriter, histograms: NDArray[np.int64], family: ParametricFamily
) -> NDArray[np.int64]:
    counts, rounded = BitWriter(), None
    if histograms.sum() <= _PARAMETRIC_DIM:
        parameter = family.fit(histograms)
        weights = family.weights(parameter)
        most = model_bits(histograms, weights) + family.width
        # often the counts need not be written to know that they take more
        if most > model_bits(histograms, histograms) + least_bits(histograms):
            rounded = np.array([write_counts(counts, h) for h in histograms])
        if rounded is None or most <= model_bits(histograms, rounded) + counts.bits:
            writer.write_uint(0, 1)
            writer.write_uint(parameter, family.width)
            return weights
    if rounded is None:
        rounded = np.array([write_counts(counts, h) for h in histograms])
    writer.write_uint(1, 1)
    writer.append(counts)
    return rounded


def _read_model(reader: BitReader, groups: int, family: ParametricFamily) -> NDArray[np.int64]:
    if not reader.read_uint(1):
        return family.weights(reader.read_uint(family.width))
    return np.array([read_counts(reader) for _ in range(groups)])
