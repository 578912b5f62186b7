"""One run of a notebook: are its parameters allowed, and where does what it makes belong?

    run = notebook_run.begin("07_ridge", globals(), starts="1 <= starts", alpha="0 < alpha < 1")

stands right after the cell of parameters. Only a run that `make reproduce` (or `make notebook`
without ARGS) started, with every parameter at its reference value, writes the project's `figures/`
and `data/results/`. Any other writes below `build/<notebook>/`, in a folder named by the parameters
that differ: `build/07_ridge/nu=0.05`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from paper_code.companion import claim_table, claims, figures, files, results
from paper_code.companion.parameters import (
    ParameterError,
    build_folder,
    check_allowed,
    in_words,
    same_type,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        check_allowed(name, condition, given)
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

    def quicker(self, name: str, value: Any) -> Any:
        """`value` in a quick run, unless the parameter `name` was changed; else the parameter.

        So `starts = run.quicker("starts", 5)` honours a number of starts that was asked for.
        """
        if not self.parameters["quick"] or name in self.changed:
            return self.parameters[name]
        print(f"quick: {name} = {value} instead of {self.parameters[name]}")
        return value

    def save(self, figure: Figure, name: str) -> figures.Picture:
        """Write `figures/<name>.svg` and `.png` under the run's folder; shown as the figure.

        `name` begins with the notebook's stem. A figure of changed parameters names them below it.
        Both files are written, or neither where drawing fails.
        """
        if not re.fullmatch(rf"{self.stem}(_\w+)?", name):
            raise ValueError(f"a figure's name must begin with {self.stem!r}, not {name!r}")
        note = None
        if self.changed:
            style: dict[str, Any] = {"fontsize": "small", "color": "#4d4d4d", "wrap": True}
            note = figure.text(1, -0.01, in_words(self.changed), ha="right", va="top", **style)
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
        **extra: Any,
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
            return NotJudged(f"not judged: {in_words(self.changed)}")
        return claim_table.Rows(
            claims.judge(each, result) for each in claims.of_notebook(self.stem)
        )
