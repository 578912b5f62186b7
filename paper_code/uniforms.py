"""Random numbers of the encoder, a part of the vector at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .kernels import BLOCK

_FEWEST = 1 << 12  # at a time: below, the calls would take longer than the work


def drawn(d: int, rng: np.random.Generator) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """A uniform number for each of d coordinates, in parts: they take no more memory than x."""
    size = min(max(-(-d // 2), _FEWEST), d, BLOCK)
    uniforms = np.empty(size)
    for start in range(0, d, size):
        part = slice(start, min(start + size, d))
        yield part, rng.random(out=uniforms[: part.stop - start])
