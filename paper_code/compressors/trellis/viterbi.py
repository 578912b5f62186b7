"""The best path through a trellis, by the Viterbi algorithm, for 64 sequences side by side.

A state allows the even or the odd integers; which half of them a level is in, n mod 4, moves the
state on. Of all paths the algorithm finds the one with the least error and bits together.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...numerics.compiled import kernel
from .codes import CODES

LANES = 64
"""Sequences that are searched together: the compiler makes vector instructions of them."""

CLASSES = 3
"""Models: one for state 0, where runs of zeros stay; one for the other even states; one for odd."""

RATES = 64
"""|n| whose rate is told apart; larger ones cost what the last does."""

_CHUNK = 4096  # stages after which a path is settled: bounds the memory, costs 1e-3 bit or less
_BLOCK = 16  # stages whose branch _branch_metrics stay in the nearest cache
_ONE = np.uint32(1)


class Trellis(NamedTuple):
    """A trellis: where each state leads, and whence it comes.

    ``next_state[s, b]`` is the state after s and a level with bit 1 of n equal to b;
    ``state_class[s]`` its model; ``before[s, i]`` the two states before s and ``branch[s, i]`` what
    their branches cost, 2 class + b.
    """

    next_state: NDArray[np.int64]
    state_class: NDArray[np.int64]
    before: NDArray[np.int64]
    branch: NDArray[np.int64]


@cache
def ungerboeck_trellis(states: int) -> Trellis:
    """The systematic feedback encoder of Ungerboeck's code (IEEE Trans. Inf. Theory 28, 1982)."""
    h1, h0 = CODES[states]
    next_state = np.zeros((states, 2), np.int64)
    state_class = np.array([0 if s == 0 else 1 + s % 2 for s in range(states)])
    before, branch = np.zeros((2, states, 2), np.int64)
    seen = np.zeros(states, np.int64)
    for s in range(states):
        for bit in (0, 1):
            to = s >> 1 ^ (h0 >> 1) * (s & 1) ^ (h1 >> 1) * bit
            next_state[s, bit] = to
            before[to, seen[to]], branch[to, seen[to]] = s, 2 * state_class[s] + bit
            seen[to] += 1
    return Trellis(next_state, state_class, before, branch)


@kernel
def search(x, inverse, weight, rates, trellis, shared, counts, path):
    """Fill ``path`` with the integers n of the best paths for y = x * inverse[lane].

    ``path`` is flat, stages x LANES. If x is ``shared``, every lane takes all of it, else lane i
    the coordinates i, i + LANES, ...; behind the end y is 0. The path of lane i is the least in the
    sum over its stages of weight[i] (y - n)^2 + rates[class of the state, |n|]. ``counts`` tells of
    every lane how often each class met each |n|, and has shape LANES x CLASSES x RATES.
    """
    states, kind = trellis.before.shape[0], rates.dtype
    metric = np.full((2, states, LANES), np.inf, kind)
    metric[0, 0, :] = 0
    block, total = _BLOCK * LANES, path.size // LANES
    y, wide = np.empty(block, kind), np.empty(block, kind)
    for i in range(block):
        wide[i] = weight[i % LANES]
    distortion, cost = np.empty((4, block), kind), np.empty((2 * CLASSES, block), kind)
    magnitude = np.empty((4, block), np.int32)
    decisions = np.empty((min(_CHUNK, total), -(-states // 8), LANES), np.uint8)
    counts[:] = 0
    for chunk in range(0, total, _CHUNK):
        stop = min(chunk + _CHUNK, total)
        for first in range(chunk, stop, _BLOCK):
            stages = min(_BLOCK, stop - first)
            _scaled(x, inverse, first, stages, shared, y)
            _branch_metrics(y[: stages * LANES], wide, rates, distortion, magnitude, cost)
            _add_compare_select(
                metric, cost, trellis.before, trellis.branch, decisions, first - chunk, stages
            )
        there = path[chunk * LANES : stop * LANES]
        _trace_back(
            _best_survivors(metric), trellis, decisions, x, inverse, chunk, shared, y, counts, there
        )


@kernel
def _scaled(x, inverse, first, stages, shared, y):
    """x / step for ``stages`` stages from ``first`` on, in the type of y; 0 behind the end."""
    for t in range(stages):
        for i in range(LANES):
            place = first + t if shared else (first + t) * LANES + i
            y[t * LANES + i] = x[place] * inverse[i] if place < x.size else 0


@kernel
def _branch_metrics(y, weight, rates, distortion, magnitude, cost):
    """cost[2 class + b] of every value: weight times squared error, plus rate."""
    quarter, half = y.dtype.type(0.25), y.dtype.type(0.5)
    four, top = y.dtype.type(4), y.dtype.type(RATES - 1)
    for b in range(4):  # residues 0, 2, 1, 3
        residue = y.dtype.type((b & 1) * 2 + (b >> 1))
        for i in range(y.size):
            value = y[i]
            nearest = four * np.floor((value - residue) * quarter + half) + residue
            error = value - nearest
            distortion[b, i] = error * error * weight[i]
            magnitude[b, i] = np.int32(min(abs(nearest), top))
    for c in range(2 * CLASSES):
        b = c & 1 if c < 4 else c - 2
        near, far, rate, out = distortion[b], magnitude[b], rates[c >> 1], cost[c]
        for i in range(y.size):
            out[i] = near[i] + rate[np.uint32(far[i])]


@kernel
def _add_compare_select(metric, cost, before, branch, decisions, first, stages):
    """Extend every survivor by ``stages`` stages; then subtract the least metric of each lane.

    Bit s of the octets in decisions[stage] says which of its two branches state s has taken.
    """
    now, states, octets = 0, before.shape[0], np.zeros(LANES, np.uint32)
    for t in range(stages):
        at, end = t * LANES, (t + 1) * LANES
        for s in range(states):
            first_from, second_from = metric[now, before[s, 0]], metric[now, before[s, 1]]
            first_cost, second_cost = cost[branch[s, 0], at:end], cost[branch[s, 1], at:end]
            out, bit, none = metric[1 - now, s], np.uint32(1 << (s & 7)), np.uint32(0)
            for i in range(LANES):
                u = first_from[i] + first_cost[i]
                v = second_from[i] + second_cost[i]
                better = v < u
                octets[i] |= bit if better else none
                out[i] = v if better else u
            if s & 7 == 7 or s == states - 1:
                packed = decisions[first + t, s >> 3]
                for i in range(LANES):
                    packed[i] = octets[i]
                    octets[i] = 0
        now = 1 - now
    least = metric[now, 0].copy()
    for s in range(states):
        for i in range(LANES):
            least[i] = min(least[i], metric[now, s, i])
    for s in range(states):
        for i in range(LANES):
            metric[0, s, i] = metric[now, s, i] - least[i]


@kernel
def _best_survivors(metric):
    """The state where each lane's best survivor ends; the next chunk starts from it alone."""
    state = np.zeros(LANES, np.uint32)
    for i in range(LANES):
        for s in range(metric.shape[1]):
            if metric[0, s, i] < metric[0, state[i], i]:
                state[i] = s
        for s in range(metric.shape[1]):
            metric[0, s, i] = 0 if s == state[i] else np.inf
    return state


@kernel
def _trace_back(state, trellis, decisions, x, inverse, first, shared, y, counts, path):
    """Trace the survivor that ends in ``state`` back in every lane.

    Fill the path from stage ``first`` on, and count its classes and |n|. The states are unsigned:
    numba then looks for no index that counts from the end.
    """
    quarter, half, eight = y.dtype.type(0.25), y.dtype.type(0.5), np.uint32(8)
    before = trellis.before.astype(np.uint32).reshape(-1)
    branch = trellis.branch.astype(np.uint32).reshape(-1)
    residue, number = np.empty(LANES, np.int32), np.empty(LANES, np.uint32)
    tally = counts.reshape(-1)
    for t in range(path.size // LANES - 1, -1, -1):
        for i in range(LANES):
            s = state[i]
            taken = np.uint32(decisions[t, s // eight, i]) >> s % eight & _ONE
            taken += s + s
            c = branch[taken]
            state[i] = before[taken]
            residue[i] = np.int32((c & _ONE) + (c & _ONE) + (c >> np.uint32(2)))
            number[i] = (np.uint32(CLASSES * i) + (c >> _ONE)) * np.uint32(RATES)
        _scaled(x, inverse, first + t, 1, shared, y)
        here = path[t * LANES : (t + 1) * LANES]
        for i in range(LANES):
            j = np.floor((y[i] - y.dtype.type(residue[i])) * quarter + half)
            n = np.int32(4) * np.int32(j) + residue[i]
            here[i] = n
            number[i] += np.uint32(min(abs(n), np.int32(RATES - 1)))
        for i in range(LANES if shared else min(LANES, x.size - (first + t) * LANES)):
            tally[number[i]] += 1


@kernel
def measure(x, path, shared, inner, squared):
    """Of every lane: <x, n> and ||n||^2, always added in the same order; as in ``search``."""
    inner[:] = 0
    squared[:] = 0
    for start in range(0, path.size, LANES):
        for i in range(LANES):
            place = start // LANES if shared else start + i
            if place < x.size:
                n = np.float64(path[start + i])
                inner[i] += n * np.float64(x[place])
                squared[i] += n * n


@kernel
def split(path, lanes, trellis, ends, levels):
    """The levels k of n = 2 k + z by class, each class in the order of the coordinates."""
    state, places = np.zeros(lanes, np.int64), np.zeros(CLASSES, np.int64)
    places[1:] = ends[:-1]
    for i in range(path.size):
        lane, k = i % lanes, path[i] >> 1
        s = state[lane]
        c = trellis.state_class[s]
        levels[places[c]] = k
        places[c] += 1
        state[lane] = trellis.next_state[s, k & 1]


@kernel
def join(levels, lanes, trellis, ends, scale, values):
    """Walk the path: values = scale n. False if a class has fewer levels than the path needs."""
    state, places = np.zeros(lanes, np.int64), np.zeros(CLASSES, np.int64)
    places[1:] = ends[:-1]
    for i in range(values.size):
        lane = i % lanes
        s = state[lane]
        c = trellis.state_class[s]
        if places[c] >= ends[c]:
            return False
        k = np.int64(levels[places[c]])
        places[c] += 1
        values[i] = scale * np.float64(2 * k + (s & 1))
        state[lane] = trellis.next_state[s, k & 1]
    return True
