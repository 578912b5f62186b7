"""Result files: what a notebook found, with its parameters and a digest that seals both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from paper_code.companion import claims, files

DIGITS = 10
"""Significant digits of a recorded number.

A float64 holds almost 16. Processors differ in the last one or two, by the order of sums and the
library of elementary functions; a small difference of large numbers (bits above a bound of
thousands) loses four more. Ten remain that every machine agrees on.
"""

NOISE = 1e-12
"""Smaller numbers are recorded as 0: they are what rounding leaves of an exact equality."""


def path(stem: str) -> Path:
    """The result of notebook `stem` that belongs to the project."""
    return files.project() / "data" / "results" / f"{stem}.json"


def rounded(value: Any) -> Any:
    """`value` with every float in it rounded to `DIGITS` significant digits, arrays as lists."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return rounded(value.tolist())
    if isinstance(value, float):
        return 0.0 if abs(value) < NOISE else float(f"{value:.{DIGITS}g}")
    return value


def content(
    stem: str,
    parameters: Mapping[str, Any],
    values: Mapping[str, SupportsFloat],
    skipped: Mapping[str, str],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """What is written of one run of notebook `stem`: its numbers, parameters and digest.

    Raises ValueError for an id that is not a claim of this notebook, a value that is not finite,
    and a claim skipped that needs no data.
    """
    ours = {claim.id: claim for claim in claims.of_notebook(stem)}
    for name in [*values, *skipped]:
        if name not in ours:
            raise ValueError(f"{name!r} is not a claim of {stem!r}; those are {sorted(ours)}")
    for name in skipped:
        if ours[name].needs is None:
            raise ValueError(f"claim {name!r} needs no data, so it cannot be skipped")
    found = {name: rounded(_finite(name, value)) for name, value in values.items()}
    own = {"parameters": dict(parameters), "claims": found, "skipped": dict(skipped)}
    if clash := [name for name in extra if name in own or name == "digest"]:
        raise ValueError(f"a result has its own {clash[0]!r}; name yours otherwise")
    unsealed = json.loads(to_json({**rounded(extra), **own}))  # as it will be read again
    return {**unsealed, "digest": digest(unsealed)}


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a result but for its digest: a number edited by hand does not match it."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(to_json(rest).encode()).hexdigest()


def to_json(content: Mapping[str, Any]) -> str:
    """`content` as the text of a result file; raises ValueError for NaN and infinity."""
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"


def read(stem: str) -> tuple[dict[str, Any], str]:
    """The project's result of notebook `stem`, and why it is refused ("" where it is not).

    Empty where there is none. Refused are a result that was edited, and one of other parameters
    than `data/claims.toml` names.
    """
    file = path(stem)
    if not file.exists():
        return {}, ""
    try:
        found = json.loads(file.read_text("utf-8"))
        sealed = found["digest"] == digest(found)
    except (ValueError, KeyError, TypeError):
        return {}, "the result is no result file; `make reproduce` makes it again"
    if not sealed:
        return {}, "the result was edited after the run; `make reproduce` makes it again"
    reference = claims.reference_parameters(stem)
    names = {*reference, *found["parameters"]}
    missing = object()
    if changed := [
        name
        for name in sorted(names)
        if found["parameters"].get(name, missing) != reference.get(name, missing)
    ]:
        differ = ", ".join(f"{name} = {found['parameters'].get(name)}" for name in changed)
        return {}, f"the result is of other parameters ({differ}); `make reproduce` makes it again"
    return found, ""


def _finite(name: str, value: SupportsFloat) -> float:
    if isinstance(value, (bool, np.bool, str)) or not np.isfinite(float(value)):
        raise ValueError(f"claim {name!r} needs a finite number, not {value!r}")
    return float(value)
