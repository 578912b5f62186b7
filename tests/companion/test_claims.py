"""Claims are judged by their own tolerance, and only by results that nobody changed."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paper_code.companion import claim_table, claims, files, results
from paper_code.companion.claims import Claim

STAND_IN = "data not available"

TOML = """
[parameters.03_sd]
nu = 0.1
quick = false

[parameters.08_data]
quick = false

[[claim]]
id = "rate"
says = "Bits | coordinate"
source = "poster"
notebook = "03_sd"
equals = 3.35
tolerance = 0.005
reason = "two decimals"

[[claim]]
id = "bytes"
says = "Bytes"
paper_says = "90"
source = "poster"
notebook = "08_data"
at_most = 100
reason = "read off a plot"
heading = "Beyond the paper"
needs = "breast-cancer"
"""
REFERENCE = {"nu": 0.1, "quick": False}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two claims of two notebooks, and no results yet."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    files.atomic_write(tmp_path / "data" / "claims.toml", TOML)
    return tmp_path


def claim(**fields: Any) -> Claim:
    return Claim(id="c", says="s", source="p", notebook="03_sd", **{"reason": "r", **fields})


def write(
    stem: str, values: dict[str, Any], parameters: dict[str, Any], **skipped: str
) -> dict[str, Any]:
    content = results.content(stem, parameters, values, skipped, {})
    files.atomic_write(results.path(stem), results.to_json(content))
    return content


@pytest.mark.parametrize(
    ("fields", "inside", "outside"),
    [
        ({"equals": 8, "tolerance": 0.5}, [7.5, 8, 8.5], [7.49, 8.51, math.nan]),
        ({"equals": -8, "relative": 0.5}, [-12, -4], [-12.1, -3.9]),
        ({"equals": 8, "tolerance": 0}, [8], [7.999]),
        ({"at_most": 2}, [2, -1e300], [2.1, math.nan]),
        ({"at_least": 0}, [0, 1e300], [-1e-9, math.nan]),
    ],
)
def test_verdict_follows_the_tolerance(
    fields: dict[str, Any], inside: list[float], outside: list[float]
) -> None:
    def verdicts(one: Claim) -> list[str]:
        return [claims.judge(one, {"claims": {"c": v}}).verdict for v in inside + outside]

    assert verdicts(claim(**fields)) == ["passed"] * len(inside) + ["failed"] * len(outside)
    calibrated = ["calibrated"] * len(inside) + ["failed"] * len(outside)
    assert verdicts(claim(calibrated="the step", **fields)) == calibrated
    not_matched = ["passed"] * len(inside) + ["not matched"] * len(outside)
    assert verdicts(claim(not_matched="10 % off", **fields)) == not_matched


def test_a_claim_with_one_limit_says_how_far_from_it_the_number_is() -> None:
    row = claims.judge(claim(at_most=2), {"claims": {"c": -132}})
    assert (row.verdict, row.detail) == ("passed", "134 to spare")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one of"),
        ({"at_most": 1, "at_least": 0}, "exactly one of"),
        ({"equals": 1}, "tolerance"),
        ({"equals": 1, "tolerance": 1, "relative": 1}, "tolerance"),
        ({"at_most": 1, "tolerance": 1}, "tolerance"),
        ({"equals": 1, "tolerance": 1, "reason": ""}, "without a reason"),
        ({"at_most": 1, "reason": ""}, "without a reason"),
        ({"at_most": 1, "calibrated": "a", "not_matched": "b"}, "both calibrated and not matched"),
    ],
)
def test_a_claim_that_says_too_little_or_too_much_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        claim(**fields)


@pytest.mark.parametrize(
    ("stem", "values", "skipped", "extra", "message"),
    [
        ("03_sd", {"rat": 1}, {}, {}, "'rat' is not a claim of '03_sd'"),
        ("03_sd", {"bytes": 1}, {}, {}, "'bytes' is not a claim of '03_sd'"),
        ("03_sd", {"rate": math.nan}, {}, {}, "'rate' needs a finite number"),
        ("03_sd", {"rate": True}, {}, {}, "'rate' needs a finite number"),
        ("03_sd", {}, {"rate": "no time"}, {}, "'rate' needs no data"),
        ("03_sd", {}, {}, {"claims": 1}, "a result has its own 'claims'"),
    ],
)
def test_what_is_no_result_is_refused(
    project: Path,
    stem: str,
    values: dict[str, Any],
    skipped: dict[str, str],
    extra: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        results.content(stem, REFERENCE, values, skipped, extra)


def test_numbers_that_differ_in_their_last_digits_are_recorded_alike() -> None:
    assert results.rounded({"a": (0.1 + 0.2, 3), "b": 2e-16}) == {"a": [0.3, 3], "b": 0.0}
    assert results.rounded(-1660973.6000000001) == -1660973.6


def test_a_result_reads_as_it_was_written(project: Path) -> None:
    extra = {"curve": np.arange(3), "by_size": {16: np.float64(0.1), 8: (1, 2)}}
    content = results.content("03_sd", REFERENCE, {"rate": 3.35}, {}, extra)
    files.atomic_write(results.path("03_sd"), results.to_json(content))
    assert results.read("03_sd") == (content, "")
    assert content["by_size"] == {"16": 0.1, "8": [1, 2]}


def test_an_edited_result_and_one_of_other_parameters_are_stale(project: Path) -> None:
    write("03_sd", {"rate": 3.35}, REFERENCE)
    assert claim_table.check()[0].verdict == "passed"
    text = results.path("03_sd").read_text()

    results.path("03_sd").write_text(text.replace("3.35", "3.36"))
    row = claim_table.check()[0]
    assert (row.verdict, row.value) == ("stale", None)
    assert "edited after the run" in row.detail

    write("03_sd", {"rate": 3.35}, {"nu": 0.2, "quick": False})
    row = claim_table.check()[0]
    assert row.verdict == "stale"
    assert "of other parameters (nu = 0.2)" in row.detail

    for damaged in ("", "[]", json.dumps({"claims": {"rate": 3.35}, "skipped": {}})):
        results.path("03_sd").write_text(damaged)
        assert claim_table.check()[0].verdict == "stale"


def test_every_verdict_is_counted_under_its_heading_and_in_all(project: Path) -> None:
    assert claim_table.summary(claim_table.check()).splitlines() == [
        "The paper: 0 passed, 0 calibrated, 0 not matched, 0 skipped, 1 missing",
        "Beyond the paper: 0 passed, 0 calibrated, 0 not matched, 0 skipped, 1 missing",
        "All claims: 0 passed, 0 calibrated, 0 not matched, 0 skipped, 2 missing",
    ]
    write("03_sd", {"rate": 3.365}, REFERENCE)
    write("08_data", {}, {"quick": False}, bytes="data not available")
    rows = claim_table.check()
    assert "failed: 0.01 too high, see notebooks/03_sd.ipynb" in claim_table.plain(rows)
    assert "skipped: data not available" in claim_table.plain(rows)
    last = claim_table.summary(rows).splitlines()[-1]
    assert last == "All claims: 0 passed, 0 calibrated, 0 not matched, 1 skipped, 1 failed"


def test_the_page_has_the_paper_s_number_what_is_accepted_and_ours(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = project / "docs" / "claims.md"
    assert claim_table.main([str(page)]) == 1, "no page of claims that are missing"
    assert "missing: run `make notebook NB=03`" in capsys.readouterr().err
    assert not page.exists()
    write("03_sd", {"rate": 3.3494}, REFERENCE)
    write("08_data", {"bytes": 95}, {"quick": False})
    assert claim_table.main([str(page)]) == 0
    lines = page.read_text("utf-8").splitlines()
    assert (
        "| Bits \\| coordinate (poster) | 3.35 | 3.35 ± 0.005: two decimals "
        "| [3.3494](../notebooks/03_sd.ipynb) | passed |"
    ) in lines
    assert (
        "| Bytes (poster) | 90 | ≤ 100: read off a plot "
        "| [95](../notebooks/08_data.ipynb) | passed: 5 to spare |"
    ) in lines
    assert lines.index("## The paper") < lines.index("## Beyond the paper")


def test_the_project_s_own_claims_say_what_the_paper_says() -> None:
    assert claims.load()
    for one in claims.load().values():
        assert one.source and one.says and one.notebook[:2].isdigit(), one.id
        assert one.paper_says or one.equals is not None, f"{one.id}: what does the paper say?"
        assert claims.reference_parameters(one.notebook)["quick"] is False


def test_the_page_of_claims_is_of_the_committed_results() -> None:
    text = (files.ROOT / "docs" / "claims.md").read_text("utf-8")
    page = claim_table.page(claim_table.check(), "../notebooks/")
    assert STAND_IN not in text
    if STAND_IN in page:
        pytest.skip("`make reproduce` ran without the paper's data: its results are other ones")
    assert text == page, "run `make claims-page`"
