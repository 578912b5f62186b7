"""docs/paper_to_code.md names every claim of the paper with its verdict, and only what exists."""

import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

import paper_code
from paper_code.companion import claim_table, claims

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "paper_to_code.md").read_text("utf-8")
VERDICTS = ("passed", "calibrated", "not matched")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
CODE = {name for row in ROWS for name in re.findall(r"`([\w.]+)`", row)}


def named(row: str) -> list[str]:
    """The claims that a row of the table names in its last column."""
    return re.findall(r"`([\w-]+)`", row.rsplit("|", 2)[1])


def test_every_claim_of_the_paper_is_on_the_page_and_no_other() -> None:
    of_paper = {claim.id for claim in claims.load().values() if claim.heading == "The paper"}
    on_page = {name for row in ROWS for name in named(row)}
    assert on_page == of_paper


@pytest.mark.parametrize("row", [row for row in ROWS if named(row)], ids=lambda row: row[2:40])
def test_a_verdict_on_the_page_is_that_of_the_committed_results(row: str) -> None:
    verdict = row.rsplit("|", 2)[1].partition(":")[0].strip()
    judged = {row.claim.id: row.verdict for row in claim_table.check()}
    found = {name: judged[name] for name in named(row)}
    if set(found.values()) <= {"skipped"}:
        pytest.skip("the data of these claims are not here")
    assert verdict in VERDICTS
    assert {v for v in found.values() if v != "skipped"} == {verdict}, found


def resolve(name: str) -> object:
    """The object that a dotted name of the page means."""
    if name.startswith("paper_code."):
        module, _, last = name.rpartition(".")
        try:
            return import_module(name)
        except ModuleNotFoundError:
            return getattr(import_module(module), last)
    first, *rest = name.split(".")
    start = import_module("paper_code.bounds") if first == "bounds" else getattr(paper_code, first)
    return reduce(getattr, rest, start)


def test_every_name_on_the_page_exists() -> None:
    names = {n for n in CODE if n.startswith(("bounds.", "paper_code.")) or n[0].isupper()}
    assert len(names) > 30
    for name in names:
        assert resolve(name), name


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)h][^)]*)\)", PAGE)
    assert len(links) > 50
    missing = [link for link in links if not (ROOT / "docs" / link).exists()]
    assert missing == []
