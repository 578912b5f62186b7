"""One run of a notebook: are its parameters allowed, and where does what it makes belong?

    run = notebook_run.begin("07_ridge", globals(), starts="1 <= starts", alpha="0 < alpha < 1")

stands right after the cell of parameters. Only a run that `make reproduce` (or `make notebook`
without ARGS) started, with every parameter at its reference value, writes the project's `figures/`
and `data/results/`. Any other writes below `build/<notebook>/`, in a folder named by the parameters
that differ: `build/07_ridge/nu=0.05`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from paper_code.companion import claim_table, claims, figures, files, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_LABEL = 100  # characters of a folder's name; file systems allow 255 bytes


class ParameterError(ValueError):
    """A parameter of a notebook has a value that is not allowed."""


def begin(stem: str, namespace: Mapping[str, Any], **allowed: str | Sequence[Any]) -> Run:
    """The run of notebook `stem` with the parameters that `namespace` (its `globals()`) holds.

    `allowed` maps parameters to the values that they may take: a list of choices, or a condition in
    Python that may name any parameter, `"1 <= k <= d"`. Raises ParameterError, before any work, for
    a value of another type than the reference value's or outside what is allowed.
    """
    reference = claims.reference_parameters(stem)
    if unknown := [name for name in allowed if name not in reference]:
        raise ValueError(f"{stem} has no parameter {unknown[0]!r}; it has {list(reference)}")
    if missing := [name for name in reference if name not in namespace]:
        raise ParameterError(f"the cell of parameters must set {missing[0]!r}")
    given = {name: same_type(name, namespace[name], value) for name, value in reference.items()}
    for name, condition in allowed.items():
        _check_allowed(name, condition, given)
    return Run(stem, given, reference)


class NotJudged(str):
    """A line that a notebook shows where a table of judged claims would stand."""

    def _repr_markdown_(self) -> str:
        return self


@dataclass(frozen=True)
class Run:
    """One run of the notebook `stem`, its `parameters` and their `reference` values."""

    stem: str
    parameters: Mapping[str, Any]
    reference: Mapping[str, Any]

    @property
    def changed(self) -> dict[str, Any]:
        """The parameters that do not have their reference value."""
        given, reference = self.parameters, self.reference
        return {name: value for name, value in given.items() if value != reference[name]}

    @property
    def is_reference(self) -> bool:
        """Whether every parameter has its reference value, so that claims can be judged."""
        return not self.changed

    @property
    def folder(self) -> Path:
        """Where this run writes: the project itself, or a folder named by what was changed."""
        chosen = os.environ.get(files.OUTPUT_VARIABLE)
        if self.is_reference and chosen and files.output_dir() == files.project():
            return files.project()
        return build_folder(self.stem, self.changed)

    def quicker(self, name: str, value: Any) -> Any:  # noqa: ANN401 - as the parameter's
        """`value` in a quick run, unless the parameter `name` was changed; else the parameter.

        So `starts = run.quicker("starts", 5)` honours a number of starts that was asked for.
        """
        if not self.parameters["quick"] or name in self.changed:
            return self.parameters[name]
        print(f"quick: {name} = {value} instead of {self.parameters[name]}")
        return value

    def save(self, figure: Figure, name: str) -> figures.Picture:
        """Write `figures/<name>.svg` and `.png` under the run's folder; shown as the figure.

        `name` begins with the notebook's stem. A figure of changed parameters names them in a line
        below. Both files are written, or neither where drawing fails.
        """
        if not re.fullmatch(rf"{self.stem}(_\w+)?", name):
            raise ValueError(f"a figure's name must begin with {self.stem!r}, not {name!r}")
        note = None
        if self.changed:
            style = {"ha": "right", "va": "top", "fontsize": "small", "color": "#4d4d4d"}
            note = figure.text(1, -0.01, _in_words(self.changed), **style)
        try:
            picture = figures.write(figure, self.folder / "figures", name)
        finally:
            if note:
                note.remove()
        base = files.shown(self.folder / "figures" / name)
        print(f"wrote {base}.svg\nwrote {base}.png")
        return picture

    def record(
        self,
        values: Mapping[str, SupportsFloat],
        skipped: Mapping[str, str] | None = None,
        **extra: Any,  # noqa: ANN401 - whatever JSON can hold
    ) -> claim_table.Rows | NotJudged:
        """Write `data/results/<stem>.json` under the run's folder; shown as the judged claims.

        `values` maps claims to numbers, `skipped` claims to the reason why there is no number,
        `extra` is anything else worth keeping. Claims are judged only at the reference parameters.
        Raises ValueError as `results.content` does.
        """
        result = results.content(self.stem, self.parameters, values, skipped or {}, extra)
        path = self.folder / "data" / "results" / f"{self.stem}.json"
        files.atomic_write(path, results.to_json(result))
        print(f"wrote {files.shown(path)}")
        if self.changed:
            return NotJudged(f"not judged: {_in_words(self.changed)}")
        return claim_table.Rows(
            claims.judge(each, result) for each in claims.of_notebook(self.stem)
        )


def build_folder(stem: str, changed: Mapping[str, Any]) -> Path:
    """The folder of runs of `stem` that must not touch the project's own results.

    It lies in `PAPER_OUTPUT_DIR`, or in `build` where that is not set or is the project itself.
    """
    chosen = files.output_dir()
    base = files.project() / "build" if chosen == files.project() else chosen
    return base / stem / _label(changed)


def same_type(name: str, value: Any, reference: Any) -> Any:  # noqa: ANN401 - any parameter
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


def _check_allowed(name: str, condition: str | Sequence[Any], given: Mapping[str, Any]) -> None:
    value = given[name]
    if isinstance(condition, str):
        # The notebook's own text, evaluated in a copy: generator expressions see no local names.
        if not eval(condition, dict(given)):
            others = [n for n in given if n != name and re.search(rf"\b{n}\b", condition)]
            where = "".join(f", {other} = {given[other]!r}" for other in others)
            raise ParameterError(f"{name} = {value!r} is not allowed: {condition}{where}")
    elif value not in condition:
        choices = ", ".join(map(repr, condition))
        raise ParameterError(f"{name} = {value!r} is not allowed: choose one of {choices}")


def _in_words(changed: Mapping[str, Any]) -> str:
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
