"""A few steps of the search through a trellis, in 64 lanes side by side, and what they cost."""

# ruff: noqa: ANN001, ANN201 - numba infers the types

from __future__ import annotations

import numpy as np

from .kernels import kernel

LANES = 64
"""Sequences that are searched together: the compiler makes vector instructions of them."""

CLASSES = 3
"""Models: one for state 0, where runs of zeros stay; one for the other even states; one for odd."""

RATES = 64
"""|n| whose rate is told apart; larger ones cost what the last does."""


@kernel
def scale(x, inverse, first, steps, shared, y):
    """x / step of ``steps`` steps from number ``first`` on, in the type of y; 0 behind the end."""
    for t in range(steps):
        for i in range(LANES):
            place = first + t if shared else (first + t) * LANES + i
            y[t * LANES + i] = x[place] * inverse[i] if place < x.size else 0


@kernel
def metrics(y, weight, rates, distortion, magnitude, cost):
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
def extend(metric, cost, before, branch, took, first, steps):
    """Extend every survivor by ``steps`` steps; then subtract the least metric of each lane.

    Bit s of the octets in took[step] says which of its two branches state s took.
    """
    now, states, octets = 0, before.shape[0], np.zeros(LANES, np.uint32)
    for t in range(steps):
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
                packed = took[first + t, s >> 3]
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
