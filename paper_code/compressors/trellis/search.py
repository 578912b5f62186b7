"""The best paths through a trellis for 64 sequences at once: Viterbi in saturating 16-bit integers.

A state allows the even or the odd integers, and bit 1 of the integer, b, moves it on. A path costs
weight (y - n)^2 + rate(n) at each step, in units of 1/64 bit; metrics are uint16 and stay below
2^16, as a step costs the best path at most 4095 and the least metric is subtracted every 16 steps.
What is reached by b = 0 and by b = 1 from one pair of states are the same two states (a butterfly).

Two callers: long vectors are 64 sequences with one step size; short ones have fewer sequences, and
the lanes try several step sizes. So all that a cost depends on is given for each lane.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from ...numerics.compiled import ONE, kernel
from ...numerics.simd import (
    FLOATS,
    LANES,
    add,
    add_saturating,
    equal,
    filled,
    load,
    magnitude,
    minimum,
    multiply,
    put,
    store,
    store_uint16,
    subtract,
    subtract_saturating,
    where_zero,
)
from .codes import CODES

UNIT = 64
"""Units of a metric to a bit."""

ROWS = 12
"""Rates of a lane: of state 0, of the other even states, of odd states, four each: the rate of the
integer 0, and a, b, c of a + b |n| + c n^2 for the others. In units."""

NEVER = 1e6
"""The rate of zero at odd states where it is not allowed; they allow it with b = 0 else."""

CELL = 64
"""Steps after which a lane may have other rates."""

_TOP = 4095  # 16 steps of that stay below 2**16
_BLOCK = 16  # steps between two subtractions of the least metric
_FAR = 65535


class Search:
    """Paths of up to ``room`` steps through the trellis of so many states, for 64 lanes."""

    def __init__(self, states: int, room: int) -> None:
        h1, h0 = CODES[states]
        self.states, self.room, self.taps = states, room, (h1 >> 1, h0 >> 1)
        self.metric = np.empty(2 * states * LANES, np.uint16)
        self.cost = np.empty(_BLOCK * 6 * LANES, np.uint16)
        self.took = np.empty(room * states, np.uint64)

    def run(
        self,
        y: NDArray[np.float32],
        inverse: NDArray[np.float32],
        weight: NDArray[np.float32],
        rates: NDArray[np.float32],
        start: NDArray[np.uint32],
    ) -> None:
        """Take y.size / 64 steps from the states ``start``; row t of ``y`` are the 64 lanes.

        A start that is no state, such as ``states``, stands for any of them.

        Each value is multiplied by its lane's ``inverse`` step size; ``weight`` (64) is in units
        for a squared error of 1, at most 1e9; ``rates`` is flat, ROWS x 64, or so many for
        each CELL steps, of which the last hold for all that follow.
        """
        _begin(self.metric, start, self.states)
        steps = y.size // LANES
        _run(y, steps, inverse, weight, rates, *self.taps, self.states, *self._buffers())

    def _buffers(self) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint64]]:
        return self.metric, self.cost, self.took

    def best(self) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The best state of each lane behind the last step, and its metric above the least."""
        ends, least = np.zeros(LANES, np.uint32), self.metric[:LANES].copy()
        _best(self.metric, self.states, ends, least)
        return ends, least

    def trace(
        self, first: int, last: int, state: NDArray[np.uint32], branches: NDArray[np.uint8]
    ) -> None:
        """Walk from ``state`` behind step ``last`` - 1 back to before step ``first``.

        ``state`` becomes the states there; ``branches`` gets 64 values a step: the integer modulo
        4, an odd state's plus nothing, with 4 added where the state is not 0.
        """
        took = self.took[first * self.states : last * self.states]
        _trace(took, *self.taps, self.states, state, branches)


@register_jitable
def rates_at(rates, t):
    """The rates of step t, ROWS x 64."""
    first = min(t // CELL * ROWS * LANES, rates.size - ROWS * LANES)
    return rates[first : first + ROWS * LANES]


@kernel
def _begin(metric, start, states):
    """Only ``start`` is alive in each lane, or all states are."""
    metric[: states * LANES] = _FAR
    for i in range(LANES):
        first, last = np.intp(start[i]), np.intp(start[i]) + 1
        if first >= states:
            first, last = 0, states
        for s in range(first, last):
            metric[s * LANES + i] = 0


@kernel
def _best(metric, states, ends, least):
    for s in range(1, states):
        row = metric[s * LANES : (s + 1) * LANES]
        for i in range(LANES):
            better = row[i] < least[i]
            ends[i] = np.uint32(s) if better else ends[i]
            least[i] = row[i] if better else least[i]


@kernel
def _run(y, steps, inverse, weight, rates, h1, h0, states, metric, cost, took):
    """All steps, in blocks."""
    for t in range(0, steps, _BLOCK):
        own = rates_at(rates, t)
        some = min(_BLOCK, steps - t)
        here = y[t * LANES : (t + some) * LANES]
        _branch_costs(here, some, inverse, weight, own, cost)
        _extend(metric, cost, took[t * states : (t + some) * states], some, states, h1, h0)


@register_jitable(forceinline=True)
def _nearest(v, residue):
    """The integers next to v that are ``residue`` modulo 4, for |v| < 2**22.

    At 1.5 * 2**25 the distance of neighbours in float32 is 4: adding that rounds.
    """
    far = filled(np.float32(3 << 24))
    return add(subtract(add(subtract(v, residue), far), far), residue)


@register_jitable(forceinline=True)
def _rate(rates, place, n):
    """a + b n + c n^2, of which a lies at ``place``."""
    a, b = load(rates, place), load(rates, place + LANES)
    return add(a, multiply(n, add(b, multiply(n, load(rates, place + 2 * LANES)))))


@kernel
def _branch_costs(y, steps, inverse, weight, rates, cost):
    """cost[t, row] of state 0 by b = 0 and 1, of even and of odd states; the least is 0."""
    none, one = filled(np.float32(0)), filled(np.float32(1))
    two, three, top = filled(np.float32(2)), filled(np.float32(3)), filled(np.float32(_TOP))
    for i in range(0, LANES, FLOATS):
        factor, heavy = load(inverse, i), load(weight, i)
        zero, even, odd = i, i + 4 * LANES, i + 8 * LANES
        for t in range(steps):
            v = multiply(load(y, t * LANES + i), factor)
            n = _nearest(v, none)
            e, m = subtract(v, n), magnitude(n)
            e = multiply(multiply(e, e), heavy)
            r0 = add(e, where_zero(n, load(rates, zero), _rate(rates, zero + LANES, m)))
            r2 = add(e, where_zero(n, load(rates, even), _rate(rates, even + LANES, m)))
            n = _nearest(v, two)
            e, m = subtract(v, n), magnitude(n)
            e = multiply(multiply(e, e), heavy)
            r1 = add(e, _rate(rates, zero + LANES, m))
            r3 = add(e, _rate(rates, even + LANES, m))
            n = _nearest(v, one)
            e, m = subtract(v, n), magnitude(n)
            r4 = add(multiply(multiply(e, e), heavy), _rate(rates, odd + LANES, m))
            r4 = minimum(r4, add(multiply(multiply(v, v), heavy), load(rates, odd)))
            n = _nearest(v, three)
            e, m = subtract(v, n), magnitude(n)
            r5 = add(multiply(multiply(e, e), heavy), _rate(rates, odd + LANES, m))
            low = minimum(minimum(minimum(r0, r1), minimum(r2, r3)), minimum(r4, r5))
            at = t * 6 * LANES + i
            store_uint16(cost, at, minimum(subtract(r0, low), top))
            store_uint16(cost, at + LANES, minimum(subtract(r1, low), top))
            store_uint16(cost, at + 2 * LANES, minimum(subtract(r2, low), top))
            store_uint16(cost, at + 3 * LANES, minimum(subtract(r3, low), top))
            store_uint16(cost, at + 4 * LANES, minimum(subtract(r4, low), top))
            store_uint16(cost, at + 5 * LANES, minimum(subtract(r5, low), top))


@register_jitable(forceinline=True)
def _butterfly(metric, a, b, to, other, ca, cb, took, word, word_other):
    """States with metrics ``a`` and ``b``: to ``to`` by (b = 0, 1), to ``other`` by (1, 0)."""
    u, v = add_saturating(a, ca), add_saturating(b, cb)
    least = minimum(u, v)
    store(metric, to, least)
    put(took, word, equal(least, v))
    u, v = add_saturating(b, ca), add_saturating(a, cb)
    least = minimum(u, v)
    store(metric, other, least)
    put(took, word_other, equal(least, v))


@kernel
def _extend(metric, cost, took, steps, states, h1, h0):
    """Add, compare, select; bit i of took[t, s] says whether lane i came to s by b = 1.

    State t is reached from 2 (t ^ h0 odd ^ h1 b) + odd, where odd is the top bit of t.
    """
    half, now = states // 2, 0
    for t in range(steps):
        at, here = t * 6 * LANES, t * states
        z0, z1 = load(cost, at), load(cost, at + LANES)
        e0, e1 = load(cost, at + 2 * LANES), load(cost, at + 3 * LANES)
        o0, o1 = load(cost, at + 4 * LANES), load(cost, at + 5 * LANES)
        source, target = now * states * LANES, (1 - now) * states * LANES
        a, b = load(metric, source), load(metric, source + 2 * h1 * LANES)
        u, v = add_saturating(a, z0), add_saturating(b, e1)
        least = minimum(u, v)
        store(metric, target, least)
        put(took, here, equal(least, v))
        u, v = add_saturating(b, e0), add_saturating(a, z1)
        least = minimum(u, v)
        store(metric, target + h1 * LANES, least)
        put(took, here + h1, equal(least, v))
        for j in range(1, half):
            k = j ^ h1
            if k > j:
                a, b = load(metric, source + 2 * j * LANES), load(metric, source + 2 * k * LANES)
                to, other = target + j * LANES, target + k * LANES
                _butterfly(metric, a, b, to, other, e0, e1, took, here + j, here + k)
        for j in range(half):
            k = j ^ h1
            if k > j:
                a = load(metric, source + (2 * j + 1) * LANES)
                b = load(metric, source + (2 * k + 1) * LANES)
                to, other = target + (j ^ h0) * LANES, target + (k ^ h0) * LANES
                _butterfly(metric, a, b, to, other, o0, o1, took, here + (j ^ h0), here + (k ^ h0))
        now = 1 - now
    source = now * states * LANES
    low = load(metric, source)
    for s in range(states):
        low = minimum(low, load(metric, source + s * LANES))
    for s in range(states):
        store(metric, s * LANES, subtract_saturating(load(metric, source + s * LANES), low))


@kernel
def _trace(took, h1, h0, states, state, branches):
    """Back along the survivors; the states are unsigned, so that no index counts from the end."""
    shift, odd_taps, taps, one = np.uint32(0), np.uint32(h0), np.uint32(h1), np.uint32(1)
    while states >> (np.intp(shift) + 1) > 1:
        shift += one
    for t in range(branches.size // LANES - 1, -1, -1):
        row, out = took[t * states : (t + 1) * states], branches[t * LANES : (t + 1) * LANES]
        for i in range(LANES):
            now = state[i]
            b = np.uint32(row[now] >> np.uint64(i) & ONE)
            odd = now >> shift
            before = ((now ^ (odd_taps * odd) ^ (taps * b)) << one) | odd
            state[i] = before
            out[i] = b + b + odd + (np.uint32(before != 0) << np.uint32(2))
