"""Claims are judged by their own tolerance, and nothing passes for want of a number."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paper_code.companion import claims, files
from paper_code.companion.claims import Claim

TOML = """
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
source = "poster"
notebook = "08_data"
at_most = 100
heading = "Beyond the paper"
needs = "breast-cancer"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two claims of two notebooks, and no results yet."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.delenv(files.OUTPUT_VARIABLE, raising=False)
    files.atomic_write(tmp_path / "data" / "claims.toml", TOML)
    files.atomic_write(tmp_path / "README.md", f"a\n{claims.BEGIN}\nold\n{claims.END}\nb")
    return tmp_path


def claim(**fields: Any) -> Claim:  # noqa: ANN401 - any of the fields of a claim
    return Claim(id="c", says="s", source="p", notebook="03_sd", **fields)


@pytest.mark.parametrize(
    ("fields", "inside", "outside"),
    [
        ({"equals": 8, "tolerance": 0.5, "reason": "r"}, [7.5, 8, 8.5], [7.49, 8.51, math.nan]),
        ({"equals": -8, "relative": 0.5, "reason": "r"}, [-12, -4], [-12.1, -3.9]),
        ({"equals": 8, "tolerance": 0, "reason": "r"}, [8], [7.999]),
        ({"at_most": 2}, [2, -1e300], [2.1, math.nan]),
        ({"at_least": 0}, [0, 1e300], [-1e-9, math.nan]),
    ],
)
def test_verdict_follows_the_tolerance(
    fields: dict[str, Any], inside: list[float], outside: list[float]
) -> None:
    verdicts = [
        claims.judge(claim(**fields), {"claims": {"c": value}, "skipped": {}}).verdict
        for value in inside + outside
    ]
    assert verdicts == ["passed"] * len(inside) + ["failed"] * len(outside)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one of"),
        ({"at_most": 1, "at_least": 0}, "exactly one of"),
        ({"equals": 1}, "tolerance"),
        ({"equals": 1, "tolerance": 1, "relative": 1, "reason": "r"}, "tolerance"),
        ({"at_most": 1, "tolerance": 1, "reason": "r"}, "tolerance"),
        ({"equals": 1, "tolerance": 1}, "without a reason"),
    ],
)
def test_a_claim_that_says_too_little_or_too_much_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        claim(**fields)


def test_recorded_numbers_come_back_exactly(project: Path) -> None:
    rows = claims.record("03_sd", {"rate": np.float64(3.35) + 2e-16}, curve=np.arange(3))
    text = (project / "data" / "results" / "03_sd.json").read_text()
    assert json.loads(text) == {
        "claims": {"rate": 3.35 + 2e-16},
        "skipped": {},
        "curve": [0, 1, 2],
    }
    assert [row.verdict for row in rows] == ["passed"]
    assert "3.35 ± 0.005" in rows._repr_markdown_()
    claims.record("03_sd", {"rate": np.float64(3.35) + 2e-16}, curve=np.arange(3))
    assert (project / "data" / "results" / "03_sd.json").read_text() == text


@pytest.mark.parametrize(
    ("stem", "values", "message"),
    [
        ("03_sd", {"rat": 1}, "'rat' is not a claim of '03_sd'"),
        ("03_sd", {"bytes": 1}, "'bytes' is not a claim of '03_sd'"),
        ("03_sd", {"rate": math.nan}, "'rate' needs a finite number"),
        ("03_sd", {"rate": True}, "'rate' needs a finite number"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_leaves_no_file(
    project: Path, stem: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        claims.record(stem, values)
    assert not (project / "data" / "results").exists()


def test_only_a_claim_that_needs_data_can_be_skipped(project: Path) -> None:
    with pytest.raises(ValueError, match="'rate' needs no data"):
        claims.record("03_sd", {}, skipped={"rate": "no time"})


def test_exit_status_and_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main([]) == 1
    assert "missing: run `make notebook NB=03`" in capsys.readouterr().out

    claims.record("03_sd", {"rate": 3.365})
    claims.record("08_data", {}, skipped={"bytes": "data not available"})
    assert claims.main([]) == 1
    out = capsys.readouterr().out
    assert "failed: 0.01 too high, see notebooks/03_sd.ipynb" in out
    assert "skipped: data not available" in out

    claims.record("03_sd", {"rate": 3.3494})
    assert claims.main(["--readme", str(project / "README.md")]) == 0
    assert "1 passed, 1 skipped" in capsys.readouterr().out


def test_readme_table_is_renewed_between_its_markers_only(project: Path) -> None:
    readme = project / "README.md"
    claims.record("03_sd", {"rate": 3.3494})
    claims.write_readme(readme, claims.check())
    text = readme.read_text()
    assert text.startswith("a\n") and text.endswith("\nb") and "old" not in text
    row = (
        "| Bits \\| coordinate (poster) | 3.35 ± 0.005 | [3.3494](notebooks/03_sd.ipynb) | passed |"
    )
    assert row in text
    assert text.index("The paper") < text.index("Beyond the paper")
    claims.write_readme(readme, claims.check())
    assert readme.read_text() == text


@pytest.mark.parametrize("text", ["", claims.BEGIN, claims.END + claims.BEGIN])
def test_a_readme_without_markers_is_refused(project: Path, text: str) -> None:
    (project / "README.md").write_text(text)
    with pytest.raises(ValueError, match="must hold"):
        claims.write_readme(project / "README.md", claims.check())


def test_a_run_elsewhere_leaves_the_committed_results_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(files.OUTPUT_VARIABLE, "build/quick")
    claims.record("03_sd", {"rate": 3.3494})
    assert (project / "build" / "quick" / "data" / "results" / "03_sd.json").exists()
    assert not (project / "data" / "results").exists()


def test_the_project_s_own_claims_name_their_source_and_a_reason() -> None:
    assert claims.load()
    for one in claims.load().values():
        assert one.source and one.says and one.notebook[:2].isdigit(), one.id
        exact_limit = one.equals is None and one.allowed in [(-math.inf, 1), (0, math.inf)]
        assert one.reason or exact_limit, f"{one.id} has a limit without a reason"


def test_the_readme_holds_the_table_of_the_committed_results() -> None:
    text = (files.ROOT / "README.md").read_text("utf-8")
    inside = text.split(claims.BEGIN)[1].split(claims.END)[0].strip()
    expected = claims.folded(claims.check()).strip()
    assert inside == expected, "run `python -m paper_code.companion.claims --readme README.md`"
