"""Vectors that defeat careless quantisers, and the error relative to the squared norm."""

from collections.abc import Iterator

import numpy as np

ALPHAS = (1e-4, 0.05, 0.1, 0.3, 0.5, 0.9, 0.99)


def awkward_vectors(count: int, seed: int) -> Iterator[np.ndarray]:
    """Normal, one-hot, constant, huge range, heavy tails, sparse, decaying, integers, sorted."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        d = int(rng.integers(1, 300 if i % 7 else 8))
        x = (
            rng.standard_normal(d),
            np.eye(1, d, int(rng.integers(d)))[0] * rng.standard_normal(),
            np.full(d, rng.standard_normal()),
            rng.standard_normal(d) * np.exp(rng.uniform(-20, 20, d)),
            rng.standard_t(1.2, d),
            rng.standard_normal(d) * (rng.random(d) < 0.1),
            np.exp(-0.3 * np.arange(d)),
            rng.integers(-2, 3, d).astype(float),
            np.sort(rng.standard_cauchy(d)) * 1e-30,
        )[i % 9]
        dtype = ("float32", "float64", "float16")[i % 3]
        yield (x if dtype != "float16" else x / max(np.abs(x).max(), 1e-40) * 8).astype(dtype)


def relative_error(held: np.ndarray, x: np.ndarray) -> float:
    """||held - x||^2 / ||x||^2, 0 for the zero vector, without overflow."""
    peak = float(np.abs(x).max()) or 1.0
    wide = x.astype(float) / peak
    return float(np.sum((held.astype(float) / peak - wide) ** 2) / (np.sum(wide**2) or 1.0))
