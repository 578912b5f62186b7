"""The codes: one bit a step, which names the signs of the step's rows.

The register holds the last nu + 1 bits, the newest lowest, and begins with zeros; row j of a step
is negated where parity(register & generator[j]) is 1. A step may have any number of rows up to 64:
it takes the first of the generators. Both end taps of all are 1: then the four ways through a pair
of states have the same correlation up to its sign, and codes are better. Each eight generators in
a row have all combinations of the second, third and last but one taps, which the search needs.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ...numerics.compiled import ONE, kernel

FILE = Path(__file__).with_name("generators.json")
"""What `python scripts/search_generators.py` found; part of the wire format."""


def _by_states(name: str) -> dict[int, tuple[int, ...]]:
    table = json.loads(FILE.read_text("utf-8"))[name]
    return {int(states): tuple(numbers) for states, numbers in table.items()}


GENERATORS = _by_states("generators")
"""By states: the generators of 64 rows."""

CORRELATION = _by_states("correlation")
"""By states, for steps of 1 to 64 rows: correlation of a word with each coordinate of a normal
vector of unit variance, in units of 1e-5."""

CLASSES = 8
LONGEST = 64
"""Most rows of a step."""

STATES = tuple(sorted(GENERATORS))


def generators(states: int) -> tuple[int, ...]:
    """The 64 generators of the code with so many states."""
    return GENERATORS[states]


def states_of(code: tuple[int, ...]) -> int:
    """2^nu for generators of nu + 1 taps."""
    return 1 << code[0].bit_length() - 1


def class_of(generator: int) -> int:
    """The second, the third and the last but one tap, as a number from 0 to 7."""
    nu = generator.bit_length() - 1
    return (generator >> nu - 2 & 3) << 1 | generator >> 1 & 1


def parity(numbers: NDArray[np.integer]) -> NDArray[Any]:
    """Whether the number of ones is odd, for integers below 2^32."""
    for shift in (16, 8, 4, 2, 1):
        numbers = numbers ^ (numbers >> shift)
    return numbers & 1


def step_begins(rows: int, steps: int) -> NDArray[np.int64]:
    """The rows at which ``steps`` steps begin, and the end: spread evenly over ``rows``.

    Where a step would have more than 64 rows, all have 64 and the rows behind them none.

    >>> step_begins(8, 3)
    array([0, 2, 5, 8])
    """
    return np.arange(steps + 1) * min(rows, LONGEST * steps) // steps


@lru_cache(maxsize=32)
def _taps(states: int) -> NDArray[np.int64]:
    """For each generator how many taps it has, and how many steps back each is."""
    taps = np.zeros((LONGEST, states.bit_length() + 1), np.int64)
    for row, generator in zip(taps, generators(states), strict=True):
        back = [i for i in range(states.bit_length()) if generator >> i & 1]
        row[0], row[1 : 1 + len(back)] = len(back), back
    return taps


def sign_words(
    words: NDArray[np.uint64], begins: NDArray[np.int64], states: int
) -> NDArray[np.uint64]:
    """What the bits of 64 sequences say: bit i of row r is 1 where sequence i is negative there.

    Bit i of ``words[t]`` is that of sequence i in step t.
    """
    signs = np.empty(begins[-1], np.uint64)
    _encode(words, begins, _taps(states), signs)
    return signs


def packed_signs(
    words: NDArray[np.uint64],
    begins: NDArray[np.int64],
    states: int,
    flips: NDArray[np.uint64],
    lanes: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """The same for fewer sequences, one for each of ``lanes``, 64 coordinates in a word.

    Coordinate i is in sequence i mod their number, and its sign is changed where the bit of its
    lane is 1 in the word of ``flips`` for its row.
    """
    signs = np.zeros(-(-int(begins[-1]) * lanes.size // 64), np.uint64)
    _encode_packed(words, begins, _taps(states), flips, lanes, signs)
    return signs


@register_jitable(forceinline=True)
def _row(words, t, taps):
    word = np.uint64(0)
    for i in range(1, taps[0] + 1):
        if taps[i] <= t:
            word ^= words[t - taps[i]]
    return word


@kernel
def _encode(words, begins, taps, signs):
    for t in range(words.size):
        for row in range(begins[t], begins[t + 1]):
            signs[row] = _row(words, t, taps[row - begins[t]])


@kernel
def _encode_packed(words, begins, taps, flips, lanes, signs):
    for t in range(words.size):
        for row in range(begins[t], begins[t + 1]):
            word = _row(words, t, taps[row - begins[t]])
            for i in range(lanes.size):
                bit = (word >> np.uint64(i) ^ flips[row] >> lanes[i]) & ONE
                place = row * lanes.size + i
                signs[place >> 6] |= bit << np.uint64(place & 63)
