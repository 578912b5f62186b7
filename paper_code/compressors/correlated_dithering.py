"""Dithers that several workers share in strata: their errors cancel in the mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..messages.message import Header
from ..numerics.random_streams import Tag, words
from .contract import Look, check_integer
from .subtractive_dithering import SubtractiveDithering

_STRETCH = 64  # coordinates whose strata are dealt out together


@dataclass(frozen=True)
class CorrelatedDithering(SubtractiveDithering, wire_id=21):
    """Subtractive dithering by one of n workers, whose dithers lie 1/n apart.

    All workers draw one uniform u_j for coordinate j and one permutation p of 0, ..., n - 1 for
    each 64 coordinates; worker i dithers with u_j + p_i / n modulo 1. Each dither is uniform, so
    each worker is unbiased with exactly omega, at the same bits. But where the workers' vectors are
    equal, their errors are the points of a grid of step / n, and the mean of n messages has
    variance omega ||x||^2 / n^2, not omega ||x||^2 / n. For unrelated vectors, whose distances are
    uniform modulo the step, the error of the mean is that of independent dithers. Only vectors that
    keep a distance of half a step may lose, by up to twice (n = 2).

    The workers must share the nonce: each encodes with a generator in the same state, as in
    ``np.random.default_rng([seed, round])``, and never with that state again.

    Source: Suresh et al. 2022, Correlated quantization (arXiv:2203.04925), there with rounding at
    random and a jitter of its own in each stratum.

    >>> x, mean = np.array([3.0, -4.0]), np.zeros(2)
    >>> for worker in range(16):
    ...     c = CorrelatedDithering(omega=0.25, workers=16, worker=worker)
    ...     mean += c(x, np.random.default_rng(0)) / 16
    >>> bool(np.all(abs(mean - x) <= np.sqrt(3 * 0.25 / 2) * 5 / 16))
    True
    """

    workers: int
    worker: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("workers", self.workers, 1, 1 << 12)
        check_integer("worker", self.worker, 0, self.workers - 1)

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(omega=0.25, workers=3, worker=1)]

    @property
    def look(self) -> Look:
        """As it is drawn everywhere."""
        return Look("correlated dithering", "#e377c2", "P")

    def _dither(self, header: Header) -> Iterator[tuple[slice, NDArray[np.uint32]]]:
        for part, raw in super()._dither(header):
            first, count = part.start // _STRETCH, -(-raw.size // _STRETCH)
            drawn = words(
                header.shared_nonce, Tag.STRATA, first * self.workers, count * self.workers
            )
            drawn = drawn.reshape(count, self.workers)
            rank = np.sum(drawn < drawn[:, self.worker, None], axis=1)  # a random permutation's
            offset = (rank * (1 << 32) // self.workers).astype(np.uint32)
            yield part, raw + np.repeat(offset, _STRETCH)[: raw.size]  # modulo 2**32
