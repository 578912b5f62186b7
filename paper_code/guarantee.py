"""What a compressor promises of its error: the paper's three classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Guarantee:
    """The class of a compressor, for every x (paper).

    unbiased, U(omega): E C(x) = x and E||C(x) - x||^2 <= omega ||x||^2;
    contractive, B(alpha): E||C(x) - x||^2 <= alpha ||x||^2;
    strictly contractive, C(alpha): ||C(x) - x||^2 <= alpha ||x||^2 always.

    >>> Guarantee.unbiased(0.25).alpha
    0.2
    """

    kind: str
    level: float

    @classmethod
    def unbiased(cls, omega: float) -> Self:
        """U(omega)."""
        return cls("unbiased", float(omega))

    @classmethod
    def contractive(cls, alpha: float) -> Self:
        """B(alpha)."""
        return cls("contractive", float(alpha))

    @classmethod
    def strictly_contractive(cls, alpha: float) -> Self:
        """C(alpha)."""
        return cls("strictly contractive", float(alpha))

    @property
    def is_unbiased(self) -> bool:
        """Whether the mean of C(x) is x."""
        return self.kind == "unbiased"

    @property
    def is_strict(self) -> bool:
        """Whether the distortion is bounded for every message, not in the mean."""
        return self.kind == "strictly contractive"

    @property
    def alpha(self) -> float:
        """The contractive level: omega / (1 + omega) for C / (1 + omega), C unbiased."""
        return self.level / (1 + self.level) if self.is_unbiased else self.level

    @property
    def omega(self) -> float:
        """The variance level of an unbiased compressor. Raises ValueError for another."""
        if not self.is_unbiased:
            raise ValueError(f"a {self.kind} compressor has no omega; use alpha")
        return self.level
