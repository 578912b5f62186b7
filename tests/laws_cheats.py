"""Compressors that break one law each, as careless or clever ones do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from paper_code import Compressor, Guarantee, Header, Message, RandK, TopK
from paper_code.coding.codes import BitReader, BitWriter
from paper_code.compressors.contract import Values, taken_from
from paper_code.compressors.known.identity import read_values, write_values


class _Plain(Compressor):
    """Sends every value, honestly; the cheats below change one thing."""

    def guarantee(self, d: int) -> Guarantee:
        return Guarantee.strictly_contractive(0.0)

    def max_bits(self, d: int) -> float:
        return 64.0 * d

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        write_values(writer, x, header)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return read_values(reader, header.d, header)


@dataclass(frozen=True)
class Peeking(_Plain, wire_id=220):
    """Remembers every x by what it sent, and sends almost nothing."""

    seen: ClassVar[dict[int, NDArray[Any]]] = {}

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        self.seen[len(self.seen)] = x.copy()
        writer.write_uint(len(self.seen) - 1, 16)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        return self.seen.get(reader.read_uint(16), np.zeros(header.d))


@dataclass(frozen=True)
class Overrunning(_Plain, wire_id=221):
    """Promises a bit a coordinate and sends 32."""

    def max_bits(self, d: int) -> float:
        return float(d)


@dataclass(frozen=True)
class Cautious(_Plain, wire_id=228):
    """Promises twice the bits that it sends."""

    def max_bits(self, d: int) -> float:
        return 128.0 * d


@dataclass(frozen=True)
class UnderReporting(_Plain, wire_id=222):
    """Says that its messages are shorter than they are."""

    def encode(self, x: Any, rng: np.random.Generator | None = None) -> Message:
        message = super().encode(x, rng)
        return dataclasses.replace(message, bits=message.bits // 2)


@dataclass(frozen=True)
class FalselyUnbiased(TopK, wire_id=223):
    """Keeps the largest coordinates and claims that the mean is right."""

    def guarantee(self, d: int) -> Guarantee:
        return Guarantee.unbiased(1.0)


@dataclass(frozen=True)
class WithReplacement(RandK, wire_id=224):
    """Draws k coordinates with replacement but scales as if they were different."""

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        write_values(writer, x[self._places(header)], header)

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        x, places = np.zeros(header.d), self._places(header)
        x[places] = read_values(reader, places.size, header) * (header.d / self.k)
        return x

    def _places(self, header: Header) -> NDArray[np.int64]:
        rng = np.random.default_rng(header.nonce)
        return np.unique(rng.integers(header.d, size=self.k))


@dataclass(frozen=True)
class Boasting(RandK, wire_id=225):
    """Claims half the variance that it has."""

    def guarantee(self, d: int) -> Guarantee:
        return Guarantee.unbiased((d / self.k - 1) / 2)


@dataclass(frozen=True)
class Stale(RandK, wire_id=226):
    """Seeds every message alike."""

    def encode(self, x: Any, rng: np.random.Generator | None = None) -> Message:
        return super().encode(x, np.random.default_rng(7))


@dataclass(frozen=True)
class StrictlyBoasting(TopK, wire_id=227):
    """Claims the error of one coordinate more than it sends."""

    def guarantee(self, d: int) -> Guarantee:
        return Guarantee.strictly_contractive(1 - (self.k + 1) / d)


@dataclass(frozen=True)
class Flattering(TopK, wire_id=229):
    """Tells its sender that every coordinate arrives."""

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values:
        super()._write(x, writer, header, rng)
        return lambda _, rest: taken_from(rest, x)
