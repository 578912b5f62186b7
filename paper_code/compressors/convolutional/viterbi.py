"""The search for the code word that correlates most with a vector: Viterbi on 64 sequences at once.

A pass over the states takes two steps of the code and eight states together, so that the metrics
are read and written once for both. The correlation of a step with all registers is a
Walsh-Hadamard transform in disguise: rows whose generators agree in three taps are in one class;
the sums of a class with all signs are looked up in a table, and a transform of four joins them.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ...numerics.compiled import ONE, kernel
from ...numerics.simd import LANES, add, get, greater, load, maximum, put, store, subtract, zeros
from .codes import CLASSES, LONGEST, class_of, parity, states_of

_FAR = -12000
"""Metric of a state that no path has reached."""

_ROWS = 32  # of a step that one set of tables takes: four of each class


class Plan(NamedTuple):
    """What the search looks up for steps of at most ``longest`` rows; see ``_advance``."""

    members: NDArray[np.int64]
    """Rows of each table, LONGEST where there are fewer; tables x 4, by class."""
    sizes: NDArray[np.int64]
    """How many rows each table has."""
    entries: NDArray[np.int32]
    """Places of the 8 summands of the first and of the second step, for each group of states."""
    parts: int
    """Tables of each class."""


@lru_cache(maxsize=64)
def plan(code: tuple[int, ...], longest: int) -> Plan:
    """Tables and places for the code of these generators and steps of at most so many rows."""
    parts, eighth = -(-longest // _ROWS), states_of(code) // 8
    taps = np.array(code[:longest]) >> 1
    classes: list[list[int]] = [[] for _ in range(CLASSES)]
    for j, generator in enumerate(code[:longest]):
        classes[class_of(generator)].append(j)
    rows = [mine[k::parts] for k in range(parts) for mine in classes]
    starts = np.concatenate([[0], np.cumsum([1 << len(mine) for mine in rows])])
    p = np.arange(eighth)
    # a class is 4 top + 2 second + low tap; summands that differ in the tap which is not
    # transformed are neighbours: the low tap in the first step, the second in the other
    orders = ((0, 1, 2, 3, 4, 5, 6, 7), (0, 2, 1, 3, 4, 6, 5, 7))
    entries = np.empty((eighth, 2, parts, CLASSES), np.int32)
    for step, order in enumerate(orders):
        for k in range(parts):
            for place, c in enumerate(order):
                table = k * CLASSES + c
                entry = sum(
                    (parity(taps[j] & (p << step)) << i for i, j in enumerate(rows[table])),
                    np.zeros(eighth, np.int64),
                )
                entries[:, step, k, place] = (step * starts[-1] + starts[table] + entry) * LANES
    members = np.full((len(rows), 4), LONGEST)
    for table, mine in enumerate(rows):
        members[table, : len(mine)] = mine
    return Plan(members, np.array([len(mine) for mine in rows]), entries.ravel(), parts)


_CHUNK = 32
"""Steps after which the largest metric is subtracted: 64 rows of some 18 fit into 16 bits."""
_LOOKAHEAD = 64
"""Steps behind which a path is settled where the decisions have no room: far more than paths take
to join."""


class Search:
    """Paths through a code for 64 sequences, in steps of at most ``longest`` rows.

    ``total`` is the correlation that the best path of each sequence reaches. The decisions of
    ``room`` steps are kept; where more are taken, the earliest steps are settled on the way, and
    the search goes on from the state that the best path had behind them.
    """

    def __init__(self, code: tuple[int, ...], longest: int, room: int) -> None:
        self.states, self.plan = states_of(code), plan(code, -(-longest // CLASSES) * CLASSES)
        self.metric = np.full(2 * self.states * LANES, _FAR, np.int16)
        self.metric[:LANES] = 0
        self.table = np.empty(2 * LANES * int((1 << self.plan.sizes).sum()), np.int16)
        self.took = np.empty((max(room, 2 * _LOOKAHEAD) + _CHUNK) * self.states, np.uint64)
        self.total = np.zeros(LANES, np.int64)
        self.kept = 0
        self.settled: list[NDArray[np.uint64]] = []
        self.recent: list[tuple[NDArray[np.int16], NDArray[np.int64]]] = []

    def advance(self, x: NDArray[np.int16], begins: NDArray[np.int64]) -> None:
        """Take rows of ``x``, of 64 integers each; step t those from begins[t] to begins[t + 1].

        Where the number of steps is odd, an empty one follows, and nothing may follow that.
        """
        if begins.size % 2 == 0:
            begins = np.append(begins, begins[-1:])
        for first in range(0, begins.size - 1, _CHUNK):
            self._take(x, begins[first : first + _CHUNK + 1])

    def _take(self, x: NDArray[np.int16], begins: NDArray[np.int64]) -> None:
        steps = begins.size - 1
        if (self.kept + steps) * self.states > self.took.size:
            self.settle()
        took = self.took[self.kept * self.states : (self.kept + steps) * self.states]
        _advance(x, begins, *self.plan, self.states, self.metric, self.table, took, self.total)
        self.kept += steps
        self.recent = [*self.recent[1 - _LOOKAHEAD // _CHUNK :], (x, begins)]

    def settle(self) -> None:
        """Settle all steps but the last few, and take those again."""
        total, again = self.total.copy(), self.recent
        behind = sum(begins.size - 1 for _, begins in again)
        ends = self._ends()
        self._trace(ends, self.kept - behind, self.kept)
        self.metric[:] = _FAR
        self.metric[ends * LANES + np.arange(LANES)] = 0
        self.settled.append(self._trace(ends, 0, self.kept - behind))
        self.kept, self.recent = 0, []
        for x, begins in again:
            self._take(x, begins)
        self.total[:] = total  # the best paths are the same

    def mark(self, steps: int) -> tuple[Any, ...]:
        """The state of the search, with room for that many steps; see ``go_back``."""
        if (self.kept + steps) * self.states > self.took.size:
            self.settle()
        return self.metric.copy(), self.total.copy(), self.kept, self.recent

    def go_back(self, mark: tuple[Any, ...]) -> None:
        """Forget the steps since ``mark``, which were no more than it has room for."""
        metric, total, self.kept, self.recent = mark
        self.metric[:], self.total[:] = metric, total

    def trace(self) -> NDArray[np.uint64]:
        """The bits of the best paths: a word for each step, bit i for lane i."""
        return np.concatenate([*self.settled, self._trace(self._ends(), 0, self.kept)])

    def _ends(self) -> NDArray[np.int64]:
        """The best state of each lane."""
        return self.metric[: self.states * LANES].reshape(self.states, LANES).argmax(axis=0)

    def _trace(self, ends: NDArray[np.int64], first: int, last: int) -> NDArray[np.uint64]:
        """The bits of kept steps on the paths to ``ends``, which become the states before them."""
        words = np.empty(last - first, np.uint64)
        took = self.took[first * self.states : last * self.states]
        _trace(took, self.states.bit_length() - 1, ends, words)
        return words


@register_jitable(forceinline=True)
def _four(table, entries, at, parts):
    """Four sums of two classes each, and their Walsh-Hadamard transform."""
    a = add(load(table, get(entries, at)), load(table, get(entries, at + 1)))
    b = add(load(table, get(entries, at + 2)), load(table, get(entries, at + 3)))
    c = add(load(table, get(entries, at + 4)), load(table, get(entries, at + 5)))
    d = add(load(table, get(entries, at + 6)), load(table, get(entries, at + 7)))
    for _ in range(1, parts):
        at += 8
        a = add(a, add(load(table, get(entries, at)), load(table, get(entries, at + 1))))
        b = add(b, add(load(table, get(entries, at + 2)), load(table, get(entries, at + 3))))
        c = add(c, add(load(table, get(entries, at + 4)), load(table, get(entries, at + 5))))
        d = add(d, add(load(table, get(entries, at + 6)), load(table, get(entries, at + 7))))
    a, b, c, d = add(a, b), subtract(a, b), add(c, d), subtract(c, d)
    return add(a, c), add(b, d), subtract(a, c), subtract(b, d)


@register_jitable(forceinline=True)
def _join(low, high, q, took, place):
    """The two states behind a pair of states half of all apart; ``q`` correlates the first way."""
    stay, come = add(low, q), subtract(high, q)
    put(took, place, greater(come, stay))
    even = maximum(stay, come)
    stay, come = subtract(low, q), add(high, q)
    put(took, place + 1, greater(come, stay))
    return even, maximum(stay, come)


@kernel
def _fill(x, first, end, members, sizes, table, base):
    """The sums of the rows of each table with all signs: bit i of the place negates row i."""
    for k in range(sizes.size):
        size = sizes[k]
        total = zeros()
        for i in range(size):
            if first + members[k, i] < end:
                total = add(total, load(x, (first + members[k, i]) * LANES))
        store(table, base, total)
        for i in range(size):
            width = LANES << i
            twice = zeros()
            if first + members[k, i] < end:
                twice = load(x, (first + members[k, i]) * LANES)
                twice = add(twice, twice)
            for place in range(base, base + width, LANES):
                store(table, place + width, subtract(load(table, place), twice))
        base += LANES << size


@kernel
def _advance(x, begins, members, sizes, entries, parts, states, metric, table, took, total):
    """Two steps in each turn; the metrics are at the front of ``metric`` before and after.

    ``took`` gets for each step and new state a word: bit i says whether the path of lane i comes
    from the upper half of the states. The largest metrics move into ``total``.
    """
    eighth, half, wide = states >> 3, table.size >> 1, (states >> 3) * LANES
    source, target = 0, states * LANES
    for t in range(0, begins.size - 1, 2):
        _fill(x, begins[t], begins[t + 1], members, sizes, table, 0)
        _fill(x, begins[t + 1], begins[t + 2], members, sizes, table, half)
        for p in range(eighth):
            at = p * 16 * parts
            q0, q1, q2, q3 = _four(table, entries, at, parts)
            r0, r1, r2, r3 = _four(table, entries, at + 8 * parts, parts)
            m = source + p * LANES
            here = t * states + 2 * p
            a0, b0 = _join(load(metric, m), load(metric, m + 4 * wide), q0, took, here)
            a1, b1 = _join(
                load(metric, m + wide), load(metric, m + 5 * wide), q1, took, here + 2 * eighth
            )
            a2, b2 = _join(
                load(metric, m + 2 * wide), load(metric, m + 6 * wide), q2, took, here + 4 * eighth
            )
            a3, b3 = _join(
                load(metric, m + 3 * wide), load(metric, m + 7 * wide), q3, took, here + 6 * eighth
            )
            here = (t + 1) * states + 4 * p
            m = target + 4 * p * LANES
            c, d = _join(a0, a2, r0, took, here)
            store(metric, m, c)
            store(metric, m + LANES, d)
            c, d = _join(b0, b2, r1, took, here + 2)
            store(metric, m + 2 * LANES, c)
            store(metric, m + 3 * LANES, d)
            m += 4 * wide
            c, d = _join(a1, a3, r2, took, here + 4 * eighth)
            store(metric, m, c)
            store(metric, m + LANES, d)
            c, d = _join(b1, b3, r3, took, here + 4 * eighth + 2)
            store(metric, m + 2 * LANES, c)
            store(metric, m + 3 * LANES, d)
        source, target = target, source
    _normalise(metric, source, states, table, total)
    if source:
        for i in range(0, states * LANES, LANES):
            store(metric, i, load(metric, source + i))


@kernel
def _normalise(metric, source, states, table, total):
    """Subtract the largest metric of every lane, and add it to ``total``."""
    top = load(metric, source)
    for s in range(1, states):
        top = maximum(top, load(metric, source + s * LANES))
    for s in range(states):
        place = source + s * LANES
        store(metric, place, subtract(load(metric, place), top))
    store(table, 0, top)
    for i in range(LANES):
        total[i] += table[i]


@kernel
def _trace(took, nu, ends, words):
    """Walk back from ``ends``; they become the states before the first step."""
    states, shift = 1 << nu, np.uint64(nu)
    now = ends.astype(np.uint64)
    for t in range(words.size - 1, -1, -1):
        word = np.uint64(0)
        row = took[t * states : (t + 1) * states]
        for i in range(LANES):
            state = now[i]
            word |= (state & ONE) << np.uint64(i)
            came = row[state] >> np.uint64(i) & ONE
            now[i] = (state | came << shift) >> ONE
        words[t] = word
    ends[:] = now.astype(np.int64)
