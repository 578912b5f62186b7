"""The table of claims, for the screen and for the README."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from paper_code import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paper_code.claims import Row

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
