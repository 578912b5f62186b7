"""What the paper claims beside what the notebooks found.

`data/claims.toml` holds the claims, `data/results/<stem>.json` the numbers that the notebook
`notebooks/<stem>.ipynb` recorded. `python -m paper_code.companion.claims` prints the table
of both and exits with 1 when a claim failed or is missing; `--readme README.md` also puts the
table into the README.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import numpy as np

from paper_code.companion import files

if TYPE_CHECKING:
    from collections.abc import Sequence


BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


def plain(rows: Sequence[Row]) -> str:
    """The rows as an aligned table, and a last line that counts the verdicts."""
    lines = [("claim", "paper", "ours", "verdict")]
    lines += [(row.claim.id, row.claim.target, _value(row), _verdict(row)) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    layout = "  ".join(f"{{:{width}}}" for width in widths) + "  {}"
    counts = Counter(row.verdict for row in rows)
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return "\n".join([layout.format(*line) for line in lines] + [summary])


def markdown(rows: Sequence[Row]) -> str:
    """The rows as Markdown tables, one under each heading."""
    parts = []
    for heading in dict.fromkeys(row.claim.heading for row in rows):
        parts += [f"**{heading}**", "", "| claim | paper | ours | verdict |", "|---|---|---|---|"]
        parts += [_markdown_line(row) for row in rows if row.claim.heading == heading]
        parts.append("")
    return "\n".join(parts)


def folded(rows: Sequence[Row]) -> str:
    """The tables of `markdown`, each folded under a line that counts its verdicts."""
    parts = []
    for heading in dict.fromkeys(row.claim.heading for row in rows):
        under = [row for row in rows if row.claim.heading == heading]
        counts = Counter(row.verdict for row in under)
        says = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        table = markdown(under).split("\n\n", 1)[1]
        summary = f"<summary><b>{heading}</b>: {len(under)} claims, {says}</summary>"
        parts += [f"<details>{summary}", "", table, "</details>", ""]
    return "\n".join(parts)


def write_readme(path: Path, rows: Sequence[Row]) -> None:
    """Replace what stands between the claim markers of `path` by the tables of `rows`.

    Raises ValueError unless both markers are there, once each and in order.
    """
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise ValueError(f"{path} must hold {BEGIN} and then {END}, once each")
    new = f"{before}{BEGIN}\n{folded(rows)}{END}{after}"
    if new != text:
        files.atomic_write(path, new)


def _markdown_line(row: Row) -> str:
    notebook = f"[{_value(row)}](notebooks/{row.claim.notebook}.ipynb)"
    cells = [f"{row.claim.says} ({row.claim.source})", row.claim.target, notebook, _verdict(row)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(row: Row) -> str:
    return "–" if row.value is None else f"{row.value:.5g}"


def _verdict(row: Row) -> str:
    return f"{row.verdict}: {row.detail}" if row.detail else row.verdict


SENSES = ("equals", "at_most", "at_least")


@dataclass(frozen=True)
class Claim:
    """One number of the paper and how near ours must come.

    Exactly one of `equals`, `at_most`, `at_least` is given; `equals` needs an absolute `tolerance`
    or a `relative` one, and a tolerance needs its `reason`. `needs` names data without which the
    notebook may skip the claim.
    """

    id: str
    says: str
    source: str
    notebook: str
    equals: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    tolerance: float | None = None
    relative: float | None = None
    reason: str = ""
    heading: str = "The paper"
    needs: str | None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, sense) is not None for sense in SENSES) != 1:
            raise ValueError(f"claim {self.id!r} must have exactly one of {', '.join(SENSES)}")
        given = (self.tolerance is not None) + (self.relative is not None)
        if given != (self.equals is not None):
            raise ValueError(
                f"claim {self.id!r}: one of tolerance, relative goes with equals, and only there"
            )
        if given and not self.reason:
            raise ValueError(f"claim {self.id!r} has a tolerance without a reason")

    @property
    def allowed(self) -> tuple[float, float]:
        """The least and the greatest value that confirm the claim."""
        if self.equals is None:
            low = -np.inf if self.at_least is None else self.at_least
            return low, np.inf if self.at_most is None else self.at_most
        slack = abs(self.equals) * self.relative if self.tolerance is None else self.tolerance
        return self.equals - slack, self.equals + slack

    @property
    def target(self) -> str:
        """What is allowed, in words: `62374 ± 3 %`, `≤ 2`."""
        if self.at_most is not None:
            return f"≤ {self.at_most:.8g}"
        if self.at_least is not None:
            return f"≥ {self.at_least:.8g}"
        near = f"{self.tolerance}" if self.relative is None else f"{100 * self.relative:g} %"
        return f"{self.equals:.8g} ± {near}"


class Row(NamedTuple):
    """A claim, the value found for it, and what came of it: passed, failed, skipped or missing."""

    claim: Claim
    value: float | None
    verdict: str
    detail: str = ""


class Rows(list[Row]):
    """Rows that a notebook shows as a table."""

    def _repr_markdown_(self) -> str:
        return markdown(self)


def load() -> dict[str, Claim]:
    """The claims of `data/claims.toml` by id, in the file's order."""
    path = files.ROOT / "data" / "claims.toml"
    claims = [Claim(**entry) for entry in tomllib.loads(path.read_text("utf-8"))["claim"]]
    by_id = {claim.id: claim for claim in claims}
    if len(by_id) < len(claims):
        raise ValueError(f"{path.name} holds an id twice")
    return by_id


def of_notebook(stem: str) -> list[Claim]:
    """The claims that the notebook `stem` recomputes."""
    return [claim for claim in load().values() if claim.notebook == stem]


def reference_parameters(stem: str) -> dict[str, Any]:
    """The parameters of notebook `stem` that its claims are judged at, in the notebook's order.

    Raises ValueError for a notebook without a table `[parameters.<stem>]` in `data/claims.toml`.
    """
    path = files.project() / "data" / "claims.toml"
    tables = tomllib.loads(path.read_text("utf-8")).get("parameters", {})
    if stem not in tables:
        raise ValueError(f"data/claims.toml has no parameters of {stem!r}; it has {list(tables)}")
    return tables[stem]


DIGITS = 10
"""Significant digits of a recorded number.

A float64 holds almost 16. Processors differ in the last one or two, by the order of sums and the
library of elementary functions; a small difference of large numbers (bits above a bound of
thousands) loses four more. Ten remain that every machine agrees on.
"""

NOISE = 1e-12
"""Smaller numbers are recorded as 0: they are what rounding leaves of an exact equality."""


def rounded(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
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


def result(
    stem: str,
    parameters: Mapping[str, Any],
    values: Mapping[str, SupportsFloat],
    skipped: Mapping[str, str],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """What is written of one run of notebook `stem`: numbers, parameters and their digest.

    Raises ValueError for an id that is not a claim of this notebook, a value that is not finite,
    and a claim skipped that needs no data.
    """
    ours = {claim.id: claim for claim in of_notebook(stem)}
    for name in [*values, *skipped]:
        if name not in ours:
            raise ValueError(f"{name!r} is not a claim of {stem!r}; those are {sorted(ours)}")
    for name in skipped:
        if ours[name].needs is None:
            raise ValueError(f"claim {name!r} needs no data, so it cannot be skipped")
    found = {name: rounded(_finite(name, value)) for name, value in values.items()}
    content = {
        **rounded(extra),
        "parameters": dict(parameters),
        "claims": found,
        "skipped": dict(skipped),
    }
    return {**content, "digest": digest(content)}


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a result without its digest: who edits a number by hand does not match it."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(to_json(rest).encode()).hexdigest()


def to_json(content: Mapping[str, Any]) -> str:
    """`content` as the text of a result file; raises ValueError for NaN and infinity."""
    return json.dumps(content, indent=1, sort_keys=True, default=_plain, allow_nan=False) + "\n"


class NotJudged(str):
    """A line that stands where a table of judged claims would."""

    def _repr_markdown_(self) -> str:
        return self


def record(
    stem: str,
    values: Mapping[str, SupportsFloat],
    skipped: Mapping[str, str] | None = None,
    **extra: Any,  # noqa: ANN401 - whatever JSON can hold
) -> Rows:
    """Write the numbers that notebook `stem` found to `data/results/<stem>.json`, judged.

    `values` maps claim ids to numbers, `skipped` claim ids to the reason why there is none, and
    `extra` holds anything else worth keeping (numbers, lists, arrays). Raises ValueError for an id
    that is not a claim of this notebook, a value that is not finite, and a claim skipped that
    needs no data.
    """
    skipped = dict(skipped or {})
    ours = {claim.id: claim for claim in load().values() if claim.notebook == stem}
    for name in [*values, *skipped]:
        if name not in ours:
            raise ValueError(f"{name!r} is not a claim of {stem!r}; those are {sorted(ours)}")
    for name in skipped:
        if ours[name].needs is None:
            raise ValueError(f"claim {name!r} needs no data, so it cannot be skipped")
    found = {name: _finite(name, value) for name, value in values.items()}
    result = {**extra, "claims": found, "skipped": skipped}
    text = json.dumps(result, indent=1, sort_keys=True, default=_plain, allow_nan=False)
    files.atomic_write(_result_path(stem), text + "\n")
    return Rows(judge(claim, result) for claim in ours.values())


def judge(claim: Claim, result: Mapping[str, Any] | None) -> Row:
    """Compare `claim` with the content of its notebook's result file, None where there is none."""
    result = result or {"claims": {}, "skipped": {}}
    if claim.id in result["skipped"]:
        return Row(claim, None, "skipped", result["skipped"][claim.id])
    if claim.id not in result["claims"]:
        return Row(claim, None, "missing", f"run `make notebook NB={claim.notebook[:2]}`")
    value = result["claims"][claim.id]
    low, high = claim.allowed
    if low <= value <= high:
        return Row(claim, value, "passed")
    off = f"{low - value:.3g} too low" if value < low else f"{value - high:.3g} too high"
    return Row(claim, value, "failed", f"{off}, see notebooks/{claim.notebook}.ipynb")


def check() -> Rows:
    """Judge every claim by the result files."""
    claims = load().values()
    results = {claim.notebook: _read(claim.notebook) for claim in claims}
    return Rows(judge(claim, results[claim.notebook]) for claim in claims)


def _result_path(stem: str) -> Path:
    return files.output_dir() / "data" / "results" / f"{stem}.json"


def _read(stem: str) -> dict[str, Any] | None:
    path = _result_path(stem)
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _finite(name: str, value: SupportsFloat) -> float:
    if isinstance(value, (bool, np.bool, str)) or not np.isfinite(float(value)):
        raise ValueError(f"claim {name!r} needs a finite number, not {value!r}")
    return float(value)


def _plain(value: object) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a result file cannot hold a {type(value).__name__}: {value!r}")


def main(arguments: list[str] | None = None) -> int:
    """Print the table of claims; exit with 1 when a claim failed or is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m paper_code.companion.claims", description=main.__doc__
    )
    parser.add_argument("--readme", type=Path, help="a file whose claim table is renewed")
    options = parser.parse_args(arguments)
    rows = check()
    if options.readme:
        write_readme(options.readme, rows)
    print(plain(rows))
    return int(any(row.verdict in ("failed", "missing") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
