"""A random rotation, then the best scalar quantiser of a normal variable with 1 to 4 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from ...coding import codes
from ...coding.bits import BitReader, BitWriter
from ...messages.message import Header
from ...numerics import compiled, norms
from ...numerics.random_rotation import rotate, unrotate
from ..contract import Compressor, Guarantee, Look


@cache
def lloyd_max(bits: int) -> tuple[float, ...]:
    """The positive half of the 2^bits levels that are best for a standard normal variable.

    Each is the mean of the normal variable in its cell, and cells end midway between levels; from
    there on they are symmetric. Found by going to and fro, and rounded to 2^-24, so that every
    machine has the same.

    Source: Lloyd 1982; Max 1960.

    >>> [round(level, 4) for level in lloyd_max(2)]
    [0.4528, 1.5104]
    """
    levels = (np.arange(2 ** (bits - 1)) + 0.5) * 4 / 2**bits
    change = 1.0
    while change > 1e-12:
        edges = np.concatenate([[0], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        density = np.exp(-(edges**2) / 2) / math.sqrt(2 * math.pi)
        better = -np.diff(density) / np.diff(scipy.special.ndtr(edges))
        change = np.abs(better - levels).max()
        levels = better
    return tuple(float(level) for level in np.round(levels * 2**24) / 2**24)


@dataclass(frozen=True)
class Eden(Compressor, wire_id=18):
    """C(x) = R' (scale q), q the Lloyd-Max levels nearest to sqrt(d) R x / ||x||: 31 + bits d bits.

    R is a random rotation, fresh for every message. Biased, as in DRIVE: scale = <R x, q>/||q||^2,
    the nearest, so that the error is at most that of scale = ||x|| / sqrt(d), which TurboQuant
    takes: the mean of (t - q(t))^2 over t = sqrt(d) u_1, u uniform on the unit sphere. It tends to
    .3634, .1175, .0345, .0095 for 1 to 4 bits. Unbiased: scale = ||x||^2 / <R x, q>, so that
    <C(x), x> = ||x||^2; omega tends to D / (1 - D), D the biased error: .571, .133, .0358, .0096.

    That is exact for a uniformly random rotation: up to d = 64; the unbiased omega is that of high
    dimension, which no d that was tried exceeds. Beyond, rounds of a Hadamard transform stand in
    for the rotation, and mean and error are near these, unproved; see ``random_rotation``.

    Source: Vargaftik et al. 2021, DRIVE (arXiv:2105.08339), and 2022, EDEN (arXiv:2108.08842);
    Zandieh et al. 2025, TurboQuant (arXiv:2504.19874).

    >>> Eden(bits=2)(np.array([3.0]), np.random.default_rng(0))
    array([3.])
    """

    bits: int
    unbiased: bool = False
    shrinks_evenly: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.bits not in (1, 2, 3, 4):
            raise ValueError(f"bits is {self.bits!r}; allowed are 1, 2, 3 and 4")

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with."""
        return [cls(bits=2), cls(bits=4), cls(bits=2, unbiased=True)]

    @property
    def look(self) -> Look:
        """That of ``RotatedSign``, which is the case of 1 bit."""
        if self.unbiased:
            return Look("EDEN", "#8f84c4", "h")
        return Look("DRIVE", "#332288", "h")

    @property
    def shares_randomness(self) -> bool:
        """The rotation."""
        return True

    def guarantee(self, d: int) -> Guarantee:
        """B(mean of (t - q(t))^2), or U(D / (1 - D)), over the rotation."""
        if self.unbiased:
            limit = _error(self.bits, math.inf)
            return Guarantee.unbiased(limit / (1 - limit))
        return Guarantee.contractive(_error(self.bits, d))

    def max_bits(self, d: int) -> float:
        """31 + bits d."""
        return 31.0 + self.bits * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        square = norms.sum_of_squares(x)
        if not square:
            codes.write_positive_float(writer, 0.0)
            return
        y = rotate(x, header.shared_nonce)
        levels, cells = _levels(self.bits), np.empty(x.size, np.uint8)
        product, power = _quantise(y, math.sqrt(x.size / square), levels, cells)
        scale = square / product if self.unbiased else product / power
        codes.write_positive_float(writer, float(np.float32(scale)))
        writer.write_uints(cells, self.bits)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        reader.label("scale")
        scale = codes.read_positive_float(reader)
        if not scale:
            return np.zeros(header.d, header.working_dtype)
        reader.label("levels")
        cells = reader.read_uints(header.d, self.bits, "uint8")
        held = np.empty(header.d, header.working_dtype)
        _look_up(cells, (scale * _levels(self.bits)).astype(held.dtype), held)
        return unrotate(held, header.shared_nonce, overwrite=True)


@cache
def _levels(bits: int) -> NDArray[np.float64]:
    """All 2^bits levels, ascending."""
    half = np.array(lloyd_max(bits))
    return np.concatenate([-half[::-1], half])


@compiled.kernel
def _quantise(y, factor, levels, cells):  # noqa: ANN001, ANN202 - numba infers the types
    """Put the number of the level nearest to factor * y_i into cells; return <y, q> and ||q||^2."""
    product = power = 0.0
    for i in range(y.size):
        value = factor * np.float64(y[i])
        cell = 0
        for j in range(levels.size - 1):
            cell += value > 0.5 * (levels[j] + levels[j + 1])
        cells[i] = cell
        product += np.float64(y[i]) * levels[cell]
        power += levels[cell] * levels[cell]
    return product, power


@compiled.kernel
def _look_up(cells, values, out):  # noqa: ANN001, ANN202
    """Indexing, without the eight bytes an index that NumPy's takes."""
    for i in range(cells.size):
        out[i] = values[cells[i]]


@cache
def _error(bits: int, d: float) -> float:
    """E (t - q(t))^2 for t = sqrt(d) u_1, u uniform on the sphere in R^d; d = inf: t normal.

    P(|t| <= a) = I_{a^2/d}(1/2, (d - 1)/2), and the mean of |t| up to a follows from the density,
    proportional to (1 - t^2/d)^((d - 3)/2).
    """
    if d == 1:
        return 0.0  # one coordinate is its sign times the scale
    levels = np.array(lloyd_max(bits))
    edges = np.concatenate([[0], (levels[1:] + levels[:-1]) / 2, [np.inf]])
    if math.isinf(d):
        share = 2 * scipy.special.ndtr(edges) - 1
        tail = np.sqrt(2 / math.pi) * np.exp(-(edges**2) / 2)
    else:
        part = np.minimum(edges**2 / d, 1)
        share = scipy.special.betainc(0.5, (d - 1) / 2, part)
        peak = 2 * math.sqrt(d) / (d - 1) * math.exp(-scipy.special.betaln(0.5, (d - 1) / 2))
        tail = peak * (1 - part) ** ((d - 1) / 2)
    mean, mass = -np.diff(tail), np.diff(share)
    return float(1 - 2 * levels @ mean + levels**2 @ mass)
