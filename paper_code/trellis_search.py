"""The search for the best path through a trellis, for 64 sequences side by side.

A state allows the even or the odd integers; which half of them a level is in, n mod 4, moves the
state on. Of all paths the Viterbi algorithm finds the one with the least error and bits together.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 64
"""Sequences that are searched together: the compiler makes vector instructions of them."""

CLASSES = 3
"""Models: one for state 0, where runs of zeros stay; one for the other even states; one for odd."""

RATES = 64
"""|n| whose rate is told apart; larger ones cost what the last does."""

_CHUNK = 4096  # steps after which a path is settled: bounds the memory, costs 1e-3 bit or less
_BLOCK = 16  # steps whose metrics stay in the nearest cache

# Parity-check polynomials (h1, h0) in octal, of Ungerboeck's best codes for amplitude modulation.
_CODES = {
    4: (0o2, 0o5),
    8: (0o4, 0o13),
    16: (0o4, 0o23),
    32: (0o10, 0o45),
    64: (0o24, 0o103),
    128: (0o126, 0o235),
    256: (0o362, 0o515),
}
STATES = tuple(_CODES)


class Machine(NamedTuple):
    """A trellis: where each state leads, and whence it comes.

    ``following[s, b]`` is the state after s and a level with bit 1 of n equal to b;
    ``state_class[s]`` its model; ``before[s, i]`` the two states before s and ``branch[s, i]`` what
    their branches cost, 2 class + b.
    """

    following: NDArray[np.int64]
    state_class: NDArray[np.int64]
    before: NDArray[np.int64]
    branch: NDArray[np.int64]


@cache
def machine(states: int) -> Machine:
    """The systematic feedback encoder of Ungerboeck's code (IEEE Trans. Inf. Theory 28, 1982)."""
    h1, h0 = _CODES[states]
    following = np.zeros((states, 2), np.int64)
    state_class = np.array([0 if s == 0 else 1 + s % 2 for s in range(states)])
    before, branch = np.zeros((2, states, 2), np.int64)
    seen = np.zeros(states, np.int64)
    for s in range(states):
        for bit in (0, 1):
            to = s >> 1 ^ (h0 >> 1) * (s & 1) ^ (h1 >> 1) * bit
            following[s, bit] = to
            before[to, seen[to]], branch[to, seen[to]] = s, 2 * state_class[s] + bit
            seen[to] += 1
    return Machine(following, state_class, before, branch)


@njit(cache=True)
def _metrics(y, start, count, weight, rates, distortion, magnitude, cost):
    """cost[2 class + b] of ``count`` values: weight times squared error, plus rate."""
    for b in range(4):  # residues 0, 2, 1, 3
        residue = y.dtype.type((b & 1) * 2 + (b >> 1))
        quarter, half = y.dtype.type(0.25), y.dtype.type(0.5)
        four, top = y.dtype.type(4), y.dtype.type(RATES - 1)
        for i in range(count):
            value = y[start + i]
            nearest = four * np.floor((value - residue) * quarter + half) + residue
            error = value - nearest
            distortion[b, i] = error * error * weight[i]
            magnitude[b, i] = np.int32(min(abs(nearest), top))
    for c in range(2 * CLASSES):
        b = c & 1 if c < 4 else c - 2
        for i in range(count):
            cost[c, i] = distortion[b, i] + rates[c >> 1, magnitude[b, i]]


@njit(cache=True)
def _extend(metric, cost, before, branch, took, first, steps):
    """Extend every survivor by ``steps`` steps; then subtract the least metric of each lane."""
    now, states = 0, before.shape[0]
    for t in range(steps):
        at = t * LANES
        for s in range(states):
            p, q, c, e = before[s, 0], before[s, 1], branch[s, 0], branch[s, 1]
            for i in range(LANES):
                u = metric[now, p, i] + cost[c, at + i]
                v = metric[now, q, i] + cost[e, at + i]
                took[first + t, s, i] = v < u
                metric[1 - now, s, i] = min(u, v)
        now = 1 - now
    for i in range(LANES):
        least = metric[now, 0, i]
        for s in range(states):
            least = min(least, metric[now, s, i])
        for s in range(states):
            metric[0, s, i] = metric[now, s, i] - least


@njit(cache=True)
def _settle(metric, before, branch, took, y, start, steps, levels):
    """Trace the best survivor of every lane back; its end is where the next chunk starts."""
    states = before.shape[0]
    place = np.zeros(LANES, np.int64)
    for i in range(LANES):
        for s in range(states):
            if metric[0, s, i] < metric[0, place[i], i]:
                place[i] = s
        for s in range(states):
            metric[0, s, i] = 0 if s == place[i] else np.inf
    quarter, half = y.dtype.type(0.25), y.dtype.type(0.5)
    for t in range(steps - 1, -1, -1):
        for i in range(LANES):
            s = place[i]
            c = branch[s, took[t, s, i]]
            place[i] = before[s, took[t, s, i]]
            odd = c >> 2
            residue = y.dtype.type(2 * (c & 1) + odd)
            j = np.floor((y[start + t * LANES + i] - residue) * quarter + half)
            levels[start + t * LANES + i] = 2 * np.int32(j) + (c & 1)


@njit(cache=True)
def search(y, weight, rates, trellis, levels):
    """Fill ``levels`` with the best paths for ``y``, flat arrays of steps x LANES.

    A level k at a state of parity z stands for n = 2 k + z. The path of lane i is the least in the
    sum over its steps of weight[i] (y - n)^2 + rates[class of the state, |n|].
    """
    states = trellis.before.shape[0]
    metric = np.full((2, states, LANES), np.inf, y.dtype)
    metric[0, 0, :] = 0
    block = _BLOCK * LANES
    wide = np.empty(block, y.dtype)
    for i in range(block):
        wide[i] = weight[i % LANES]
    distortion, cost = np.empty((4, block), y.dtype), np.empty((2 * CLASSES, block), y.dtype)
    magnitude = np.empty((4, block), np.int32)
    total = y.size // LANES
    took = np.empty((min(_CHUNK, total), states, LANES), np.uint8)
    for chunk in range(0, total, _CHUNK):
        steps = min(_CHUNK, total - chunk)
        for first in range(0, steps, _BLOCK):
            count, start = min(_BLOCK, steps - first), (chunk + first) * LANES
            _metrics(y, start, count * LANES, wide, rates, distortion, magnitude, cost)
            _extend(metric, cost, trellis.before, trellis.branch, took, first, count)
        _settle(metric, trellis.before, trellis.branch, took, y, chunk * LANES, steps, levels)
