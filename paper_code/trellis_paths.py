"""Along a path of the trellis: from levels to integers and classes, and back."""

# ruff: noqa: ANN001, ANN201 - numba infers the types

from __future__ import annotations

import numpy as np
from numba import njit

from .trellis_search import CLASSES, LANES, RATES


@njit(cache=True)
def measure(x, levels, trellis, cross, own, counts):
    """Of every lane: <x, n>, ||n||^2, and how often each class met each |n|.

    ``x`` and ``levels`` are flat arrays of steps x LANES, or the last step may be short;
    ``counts`` has shape LANES x CLASSES x RATES.
    """
    state = np.zeros(LANES, np.int64)
    cross[:] = 0
    own[:] = 0
    counts[:] = 0
    for i in range(x.size):
        lane = i % LANES
        s, k = state[lane], np.int64(levels[i])
        n = 2 * k + (s & 1)
        cross[lane] += np.float64(n) * np.float64(x[i])
        own[lane] += np.float64(n) * np.float64(n)
        counts[lane, trellis.state_class[s], min(abs(n), RATES - 1)] += 1
        state[lane] = trellis.following[s, k & 1]


@njit(cache=True)
def split(levels, lanes, trellis, ends, out):
    """Sort the levels by class, each class in the order of the coordinates."""
    state, places = np.zeros(lanes, np.int64), np.zeros(CLASSES, np.int64)
    places[1:] = ends[:-1]
    for i in range(levels.size):
        lane = i % lanes
        s = state[lane]
        c = trellis.state_class[s]
        out[places[c]] = levels[i]
        places[c] += 1
        state[lane] = trellis.following[s, levels[i] & 1]


@njit(cache=True)
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
        state[lane] = trellis.following[s, k & 1]
    return True


@njit(cache=True)
def expand(levels, lanes, trellis, values):
    """The integers n of a path."""
    state = np.zeros(lanes, np.int64)
    for i in range(levels.size):
        lane = i % lanes
        s = state[lane]
        values[i] = 2 * levels[i] + (s & 1)
        state[lane] = trellis.following[s, levels[i] & 1]
