"""Vectors that defeat careless quantisers, damaged messages, the error of what is held."""

from collections.abc import Iterator

import numpy as np

from paper_code import Compressor, FormatError, Message

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


def refused_when_damaged(
    c: Compressor, dims: tuple[int, ...], seed: int, times: int, reach: int
) -> int:
    """How many damaged messages are refused; every other one must decode to a vector of its shape.

    Of each d so many times a bit of the first ``reach`` bytes of a normal vector's payload is
    flipped, and up to two bytes are cut off its end.
    """
    rng, refused = np.random.default_rng(seed), 0
    for d in dims:
        message = c.encode(rng.standard_normal(d), rng)
        for _ in range(times):
            payload = bytearray(message.payload)
            payload[rng.integers(min(len(payload), reach))] ^= 1 << int(rng.integers(8))
            bits = message.bits - int(rng.integers(0, 3)) * 8
            damaged = Message(c, message.header, bytes(payload[: -(-bits // 8)]), bits)
            try:
                assert damaged.decode().shape == (d,)
            except FormatError:
                refused += 1
    return refused
