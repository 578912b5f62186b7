"""What `make reproduce` does: run what is out of date, judge claims, tell what came out otherwise.

    python -m paper_code.companion.reproduce [notebook …]

The notebooks named are those that Make found older than what they are made of. Those whose result
or figure is not there, or whose result is refused or lacks a claim, run too.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paper_code.companion import claim_table, claims, files, results, run_notebooks


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every notebook ran and every claim was judged without an error."""
    project = files.project()
    named = {Path(name).stem for name in (sys.argv[1:] if arguments is None else arguments)}
    notebooks = sorted((project / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    to_run = [path for path in notebooks if path.stem in named or not is_whole(path.stem)]
    if not to_run:
        print("Every notebook is up to date.")
    elif run_notebooks.run_for_the_project(to_run):
        return 1
    rows = claim_table.check()
    print(claim_table.plain(rows))
    copies = [project / "build" / "notebooks" / path.name for path in to_run]
    written = [name for copy in copies for name in run_notebooks.written_by(copy)]
    for title, lines in (
        ("Written by this run", written),
        ("Different from what is committed", differences()),
    ):
        print(f"\n{title}: {'' if lines else 'nothing'}", *lines, sep="\n  ")
    print(f"\n{claim_table.summary(rows)}")
    return int(any(row.verdict in claims.ERRORS for row in rows))


def is_whole(stem: str) -> bool:
    """Whether the notebook's figures are there, and a result that no claim of it refuses."""
    found, refused = results.read(stem)
    rows = [claims.judge(claim, found, refused) for claim in claims.of_notebook(stem)]
    lacks = any(row.verdict in ("missing", "stale") for row in rows)
    figures = (files.project() / "figures").glob(f"{stem}*.svg")
    return bool(found) and not lacks and any(figures)


def differences() -> list[str]:
    """A line for every result and figure that differs from the committed one: by how much."""
    status = _git("status", "--porcelain", "--untracked-files=all", "data/results", "figures")
    if status is None:
        return ["(not known: this is no git checkout)"]
    names = {line[3:].strip('"'): line[:2] for line in status.decode().splitlines()}
    return [f"{name}: {_difference(name)}" for name in names if not _seen_in_png(name, names)]


def _seen_in_png(name: str, names: dict[str, str]) -> bool:
    return name.endswith(".svg") and f"{name.removesuffix('svg')}png" in names


def _difference(name: str) -> str:
    path, old = files.project() / name, _git("show", f"HEAD:./{name}")
    if old is None:
        return "new"
    if not path.exists():
        return "deleted"
    if path.suffix == ".json":
        return compare_numbers(json.loads(old), json.loads(path.read_bytes()))
    if path.suffix == ".png":
        return compare_pictures(old, path.read_bytes())
    return "changed"


def compare_numbers(old: dict[str, Any], new: dict[str, Any]) -> str:
    """How many values of two results differ, and the greatest relative difference of a number."""
    before, after = (dict(_leaves(each)) for each in (old, new))
    names = {*before, *after} - {"digest"}
    other = [name for name in sorted(names) if before.get(name) != after.get(name)]
    if not other:
        return "nothing but its layout"
    text = f"{len(other)} of {len(names)} values differ"
    sizes = {name: _relative(before.get(name), after.get(name)) for name in other}
    worst = max(other, key=lambda name: sizes[name])
    by = f"by {sizes[worst]:.2g} of itself" if sizes[worst] < np.inf else "not as numbers"
    return f"{text}, the most {worst} {by}: {before.get(worst)} -> {after.get(worst)}"


def compare_pictures(old: bytes, new: bytes) -> str:
    """The share of pixels in which two PNGs differ."""
    before, after = (np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in (old, new))
    if before.shape != after.shape:
        sizes = [f"{each.shape[1]} x {each.shape[0]}" for each in (before, after)]
        return f"size {sizes[0]} -> {sizes[1]} pixels"
    return f"{np.mean(np.any(before != after, axis=2)):.2%} of the pixels differ"


def _leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """The single values in `value`, each with the way to it: `claims.sd-rate`."""
    if isinstance(value, dict):
        parts: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    else:
        return [(name, value)]
    return [leaf for key, each in parts for leaf in _leaves(each, f"{name}.{key}".lstrip("."))]


def _relative(a: object, b: object) -> float:
    """|a − b| over the greater of both, infinite unless both are numbers."""
    if isinstance(a, bool) or isinstance(b, bool):
        return np.inf
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return np.inf
    return abs(a - b) / max(abs(a), abs(b))


def _git(*arguments: str) -> bytes | None:
    """What git prints, None where it fails or is not installed."""
    command = ["git", "-C", str(files.project()), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    run_notebooks.until_interrupted(main)
