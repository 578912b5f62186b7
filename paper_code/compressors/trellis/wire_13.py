"""Frames of wire identifier 13, which are read for ever and no longer written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...coding.bits import BitReader, BitWriter
from ...messages.message import Header
from ...numerics.random_rotation import unrotate
from ..contract import Compressor, Guarantee
from . import dealt
from .settings import check, guarantee_of


@dataclass(frozen=True)
class TrellisCompression(Compressor, wire_id=13):
    """The compressor of that name as it was: it decodes. Source: as the one of today."""

    alpha: float
    states: int = 8
    unbiased: bool = False

    def __post_init__(self) -> None:
        check(self.alpha, self.states, self.unbiased)

    @property
    def shares_randomness(self) -> bool:
        """The rotation of the unbiased variant is drawn by both sides."""
        return self.unbiased

    def guarantee(self, d: int) -> Guarantee:
        """U(alpha / (1 - alpha)) if unbiased, else C(alpha)."""
        return guarantee_of(self.alpha, self.unbiased)

    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> None:
        raise ValueError(
            "frames of identifier 13 are only read; paper_code.TrellisCompression writes"
        )

    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        values = dealt.read(reader, header, self.states)
        return unrotate(values, header.shared_nonce, True) if self.unbiased else values
