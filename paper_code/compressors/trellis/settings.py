"""What the settings of Trellis Compression may be and what they promise."""

from __future__ import annotations

from ..contract import Guarantee, check_flag, check_integer
from .codes import STATES


def check(alpha: float, states: int, unbiased: bool) -> None:
    """Raise ValueError or TypeError for settings outside their ranges."""
    if not 1e-9 <= alpha < 1:
        raise ValueError(f"alpha is {alpha}; allowed are 1e-9 <= alpha < 1")
    check_integer("states", states, 1)
    check_flag("unbiased", unbiased)
    if states not in STATES:
        raise ValueError(f"states is {states}; allowed are {', '.join(map(str, STATES))}")


def guarantee_of(alpha: float, unbiased: bool) -> Guarantee:
    """U(alpha / (1 - alpha)) if unbiased, else C(alpha)."""
    if unbiased:
        return Guarantee.unbiased(alpha / (1 - alpha))
    return Guarantee.strictly_contractive(alpha)
