"""The parameters of notebooks: their types, what is allowed, the names of their folders."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paper_code.companion import files

LONGEST_LABEL = 100  # characters of a folder's name; file systems allow 255 bytes


class ParameterError(ValueError):
    """A parameter of a notebook has a value that is not allowed."""


def same_type(name: str, value: Any, reference: Any) -> Any:
    """`value` as the type of `reference`; raises ParameterError where it is of another.

    A whole number is a float too; a list's entries are as the first entry of the reference.
    """
    if isinstance(reference, list):
        if not isinstance(value, (list, tuple)):
            raise ParameterError(f"{name} must be a list like {reference}, got {value!r}")
        return [same_type(f"{name}[{i}]", each, reference[0]) for i, each in enumerate(value)]
    kind = type(reference)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        words = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
        raise ParameterError(f"{name} must be {words[kind]} (such as {reference!r}), got {value!r}")
    if kind is float and not math.isfinite(value):
        raise ParameterError(f"{name} must be finite, got {value!r}")
    return kind(value)


def check_allowed(name: str, condition: str | Sequence[Any], given: Mapping[str, Any]) -> None:
    """Raise ParameterError where the parameter `name` of those `given` is not as `condition` says.

    `condition` is a list of choices, or Python that may name any parameter.
    """
    value = given[name]
    if isinstance(condition, str):
        if not _holds(condition, given):
            others = [n for n in given if n != name and re.search(rf"\b{n}\b", condition)]
            where = "".join(f", {other} = {given[other]!r}" for other in others)
            raise ParameterError(f"{name} = {value!r} is not allowed: {condition}{where}")
    elif value not in condition:
        choices = ", ".join(map(repr, condition))
        raise ParameterError(f"{name} = {value!r} is not allowed: choose one of {choices}")


def _holds(condition: str, given: Mapping[str, Any]) -> bool:
    """Whether a condition holds; one that cannot be worked out, min of an empty list, does not."""
    try:
        # The notebook's own text; in globals, since generator expressions see no local names.
        return bool(eval(condition, dict(given)))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return False


def build_folder(stem: str, changed: Mapping[str, Any]) -> Path:
    """The folder of runs of `stem` that must not touch the project's own results.

    It lies in `PAPER_OUTPUT_DIR`, or in `build` where that is not set or is the project itself.
    """
    chosen = files.output_dir()
    base = files.project() / "build" if chosen == files.project() else chosen
    return base / stem / _label(changed)


def in_words(changed: Mapping[str, Any]) -> str:
    """The parameters for a figure: `nu = 0.05, k = 6`."""
    return ", ".join(f"{name} = {value}" for name, value in changed.items())


def _label(changed: Mapping[str, Any]) -> str:
    """The changed parameters as the name of a folder; another name for other values."""
    if not changed:
        return "reference"
    spelled = {
        name: "-".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in changed.items()
    }
    text = ",".join(f"{name}={value}" for name, value in spelled.items())
    label = re.sub(r"[^\w.,=+-]", "_", text)
    if label == text and len(label) <= LONGEST_LABEL:
        return label
    digest = hashlib.sha256(repr(changed).encode()).hexdigest()[:8]
    return f"{label[:LONGEST_LABEL]}-{digest}"
