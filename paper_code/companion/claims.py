"""What the paper claims: `data/claims.toml`, and how a number found for a claim is judged."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from paper_code.companion import files

SENSES = ("equals", "at_most", "at_least")
VERDICTS = ("passed", "calibrated", "not matched", "skipped", "failed", "missing", "stale")
ERRORS = ("failed", "missing", "stale")
"""Verdicts with which `make reproduce` fails."""


@dataclass(frozen=True)
class Claim:
    """One number of the paper and how near ours must come.

    `paper_says` is the number as printed (`equals` unless given). Exactly one of `equals`,
    `at_most`, `at_least` says what is accepted; `equals` needs an absolute `tolerance` or a
    `relative` one; `reason` says why so much. `calibrated` says what of our set-up was chosen to
    meet the number, `not_matched` how far ours is from it and why. `needs` names data without which
    the notebook may skip the claim.
    """

    id: str
    says: str
    source: str
    notebook: str
    paper_says: str = ""
    equals: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    tolerance: float | None = None
    relative: float | None = None
    reason: str = ""
    heading: str = "The paper"
    calibrated: str = ""
    not_matched: str = ""
    needs: str | None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, sense) is not None for sense in SENSES) != 1:
            raise ValueError(f"claim {self.id!r} must have exactly one of {', '.join(SENSES)}")
        given = (self.tolerance is not None) + (self.relative is not None)
        if given != (self.equals is not None):
            raise ValueError(
                f"claim {self.id!r}: one of tolerance, relative goes with equals, and only there"
            )
        if not self.reason:
            raise ValueError(f"claim {self.id!r} has a limit without a reason")
        if self.calibrated and self.not_matched:
            raise ValueError(f"claim {self.id!r} cannot be both calibrated and not matched")

    @property
    def printed(self) -> str:
        """The number as the paper gives it, a dash where it gives none."""
        return self.paper_says or ("–" if self.equals is None else f"{self.equals:.8g}")

    @property
    def allowed(self) -> tuple[float, float]:
        """The least and the greatest value that confirm the claim."""
        if self.equals is None:
            low = -np.inf if self.at_least is None else self.at_least
            return low, np.inf if self.at_most is None else self.at_most
        slack = self.tolerance or abs(self.equals) * (self.relative or 0)
        return self.equals - slack, self.equals + slack

    @property
    def accepted(self) -> str:
        """What is accepted, in words: `62374 ± 3 %`, `≤ 2`."""
        if self.at_most is not None:
            return f"≤ {self.at_most:.10g}"
        if self.at_least is not None:
            return f"≥ {self.at_least:.10g}"
        near = f"{self.tolerance:g}" if self.relative is None else f"{100 * self.relative:g} %"
        return f"{self.equals:.8g} ± {near}"


class Row(NamedTuple):
    """A claim, the value found for it, one of `VERDICTS`, and a word on it."""

    claim: Claim
    value: float | None
    verdict: str
    detail: str = ""


def _tables() -> dict[str, Any]:
    return tomllib.loads((files.project() / "data" / "claims.toml").read_text("utf-8"))


def load() -> dict[str, Claim]:
    """The claims of `data/claims.toml` by id, in the file's order."""
    claims = [Claim(**entry) for entry in _tables()["claim"]]
    by_id = {claim.id: claim for claim in claims}
    if len(by_id) < len(claims):
        raise ValueError("data/claims.toml holds an id twice")
    return by_id


def of_notebook(stem: str) -> list[Claim]:
    """The claims that the notebook `stem` recomputes."""
    return [claim for claim in load().values() if claim.notebook == stem]


def reference_parameters(stem: str) -> dict[str, Any]:
    """The parameters of notebook `stem` that its claims are judged at, in the notebook's order.

    Raises ValueError for a notebook without a table `[parameters.<stem>]` in `data/claims.toml`.
    """
    tables = _tables().get("parameters", {})
    if stem not in tables:
        raise ValueError(f"data/claims.toml has no parameters of {stem!r}; it has {list(tables)}")
    return tables[stem]


def judge(claim: Claim, result: Mapping[str, Any], refused: str = "") -> Row:
    """Compare `claim` with what its notebook recorded; `refused` says why that is no result.

    A value outside what is accepted fails, unless the claim says that it is not matched. A passed
    claim with one limit says how far from the limit its value is.
    """
    if refused:
        return Row(claim, None, "stale", refused)
    if claim.id in result.get("skipped", {}):
        return Row(claim, None, "skipped", result["skipped"][claim.id])
    if claim.id not in result.get("claims", {}):
        return Row(claim, None, "missing", f"run `make notebook NB={claim.notebook[:2]}`")
    value = result["claims"][claim.id]
    low, high = claim.allowed
    if low <= value <= high:
        if claim.calibrated:
            return Row(claim, value, "calibrated", claim.calibrated)
        spare = f"{min(value - low, high - value):.3g} to spare"
        return Row(claim, value, "passed", spare if claim.equals is None else "")
    if claim.not_matched:
        return Row(claim, value, "not matched", claim.not_matched)
    off = f"{low - value:.3g} too low" if value < low else f"{value - high:.3g} too high"
    return Row(claim, value, "failed", f"{off}, see notebooks/{claim.notebook}.ipynb")
