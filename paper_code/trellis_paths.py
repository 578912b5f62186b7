"""Along a path of the trellis: from levels to integers and classes, and back."""

# ruff: noqa: ANN001, ANN201 - numba infers the types

from __future__ import annotations

import numpy as np

from .kernels import kernel
from .trellis_steps import CLASSES, LANES


@kernel
def measure(x, path, shared, cross, own):
    """Of every lane: <x, n> and ||n||^2, always added in the same order; as in ``search``."""
    cross[:] = 0
    own[:] = 0
    for start in range(0, path.size, LANES):
        for i in range(LANES):
            place = start // LANES if shared else start + i
            if place < x.size:
                n = np.float64(path[start + i])
                cross[i] += n * np.float64(x[place])
                own[i] += n * n


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
        state[lane] = trellis.following[s, k & 1]


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
        state[lane] = trellis.following[s, k & 1]
    return True
