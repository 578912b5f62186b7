"""The claims beside what the notebooks found: on the screen, in a notebook, as docs/claims.md.

`python -m paper_code.companion.claim_table docs/claims.md` writes the page.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paper_code.companion import claims, files, results
from paper_code.companion.claims import Row

INTRODUCTION = """# Claims

What the paper says, what we accept as the same and why, and what the notebook found whose link the
number is. *Passed*: within what is accepted. *Calibrated*: within it, but our set-up was chosen to
meet this number, as the poster does not print its own. *Not matched*: outside it; the row
says how far and why. *Skipped*: the paper's data could not be had. `make reproduce` recomputes all.

"""


class Rows(list[Row]):
    """Rows that a notebook shows as a table."""

    def _repr_markdown_(self) -> str:
        return markdown(self)


def check() -> Rows:
    """Judge every claim by the project's result files."""
    all_claims = claims.load().values()
    found = {stem: results.read(stem) for stem in {claim.notebook for claim in all_claims}}
    return Rows(claims.judge(claim, *found[claim.notebook]) for claim in all_claims)


def plain(rows: Sequence[Row]) -> str:
    """The rows as an aligned table."""
    lines = [("claim", "the paper says", "accepted", "ours", "verdict")]
    lines += [
        (row.claim.id, row.claim.printed, row.claim.accepted, _value(row), _verdict(row))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    layout = "  ".join(f"{{:{width}}}" for width in widths) + "  {}"
    return "\n".join(layout.format(*line) for line in lines)


def summary(rows: Sequence[Row]) -> str:
    """How many claims have which verdict, under each heading and in all."""
    headings = list(dict.fromkeys(row.claim.heading for row in rows))
    parts = {name: [row for row in rows if row.claim.heading == name] for name in headings}
    parts["All claims"] = list(rows)
    return "\n".join(f"{name}: {_counts(part)}" for name, part in parts.items())


def markdown(rows: Sequence[Row], notebooks: str | None = None) -> str:
    """The rows as Markdown tables, one under each heading.

    `notebooks` is the way to the folder that each number's link leads to; no links where None.
    """
    parts = []
    for heading in dict.fromkeys(row.claim.heading for row in rows):
        under = [row for row in rows if row.claim.heading == heading]
        parts += [f"**{heading}**: {_counts(under)}", ""]
        parts += ["| claim | the paper says | accepted, because | ours | verdict |"]
        parts += ["|---|---|---|---|---|"]
        parts += [_markdown_line(row, notebooks) for row in under]
        parts.append("")
    return "\n".join(parts)


def page(rows: Sequence[Row], notebooks: str) -> str:
    """The page of all claims: what the verdicts mean, the summary, the tables under headings."""
    tables = markdown(rows, notebooks)
    for heading in dict.fromkeys(row.claim.heading for row in rows):
        tables = tables.replace(f"**{heading}**: ", f"## {heading}\n\n", 1)
    return f"{INTRODUCTION}{_counts(rows)}.\n\n{tables}"


def _markdown_line(row: Row, notebooks: str | None) -> str:
    claim, ours = row.claim, _value(row)
    if notebooks is not None:
        ours = f"[{ours}]({notebooks}{claim.notebook}.ipynb)"
    because = f"{claim.accepted}: {claim.reason}"
    cells = [f"{claim.says} ({claim.source})", claim.printed, because, ours, _verdict(row)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(row: Row) -> str:
    return "–" if row.value is None else f"{row.value:.5g}"


def _verdict(row: Row) -> str:
    return f"{row.verdict}: {row.detail}" if row.detail else row.verdict


def _counts(rows: Sequence[Row]) -> str:
    """The number of every verdict; of errors only where there are any."""
    counts = Counter(row.verdict for row in rows)
    shown = [name for name in claims.VERDICTS if counts[name] or name not in claims.ERRORS]
    return ", ".join(f"{counts[name]} {name}" for name in shown)


def main(arguments: Sequence[str]) -> int:
    """Print the table, or write it as the page at the one path given; 1 where a claim fails.

    No page is written of claims that fail.
    """
    rows = check()
    wrong = [row for row in rows if row.verdict in claims.ERRORS]
    if not arguments:
        print(plain(rows), summary(rows), sep="\n")
    elif wrong:
        print(plain(wrong), file=sys.stderr)
    else:
        (path,) = map(Path, arguments)
        files.atomic_write(path, page(rows, "../notebooks/"))
        print(f"wrote {path}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
