"""`make reproduce` runs what is refused, and says what it wrote and what came out otherwise."""

import io
import json
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from paper_code.companion import files, reproduce, results

CLAIMS = """
[parameters.01_one]
nu = 0.1
quick = false

[[claim]]
id = "rate"
says = "Bits"
source = "poster"
notebook = "01_one"
equals = 3.35
tolerance = 0.005
reason = "two decimals"
"""
REFERENCE = {"nu": 0.1, "quick": False}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one notebook, its committed result and its figure."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    files.atomic_write(tmp_path / "data" / "claims.toml", CLAIMS)
    notebook = tmp_path / "notebooks" / "01_one.ipynb"
    notebook.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    write_result(3.35)
    files.atomic_write(tmp_path / "figures" / "01_one.svg", "<svg/>")
    files.atomic_write(tmp_path / "figures" / "01_one.png", png(0))
    git = ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    return tmp_path


def write_result(rate: float) -> None:
    content = results.content("01_one", REFERENCE, {"rate": rate}, {}, {"sizes": [1, 2]})
    files.atomic_write(results.path("01_one"), results.to_json(content))


def png(dots: int) -> bytes:
    picture, buffer = np.zeros((10, 20, 3), np.uint8), io.BytesIO()
    picture[0, :dots] = 255
    Image.fromarray(picture).save(buffer, "png")
    return buffer.getvalue()


def test_what_differs_from_the_commit_is_told_with_its_size(project: Path) -> None:
    assert reproduce.differences() == []
    write_result(3.349)
    files.atomic_write(project / "figures" / "01_one.svg", "<svg></svg>")
    files.atomic_write(project / "figures" / "01_one.png", png(10))
    files.atomic_write(project / "figures" / "01_one_more.png", png(10))
    assert reproduce.differences() == [
        "data/results/01_one.json: 1 of 5 values differ, the most claims.rate by 0.0003 of itself: "
        "3.35 -> 3.349",
        "figures/01_one.png: 5.00% of the pixels differ",
        "figures/01_one_more.png: new",
    ]


def test_where_there_is_no_git_nothing_is_claimed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert reproduce.differences() == ["(not known: this is no git checkout)"]


def test_a_missing_value_is_a_difference_too() -> None:
    text = reproduce.compare_numbers({"a": 1.0, "b": "x"}, {"a": 1.0, "c": [True]})
    assert text == "2 of 3 values differ, the most b not as numbers: x -> None"
    assert reproduce.compare_numbers({"digest": "1"}, {"digest": "2"}) == "nothing but its layout"


def test_only_a_whole_result_with_its_figures_is_up_to_date(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce.is_whole("01_one")
    assert reproduce.main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Every notebook is up to date.\n")
    assert "Written by this run: nothing\n\nDifferent from what is committed: nothing\n" in out
    assert out.endswith("All claims: 1 passed, 0 calibrated, 0 not matched, 0 skipped\n")

    path = results.path("01_one")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "parameters": {"nu": 0.2, "quick": False}}))
    assert not reproduce.is_whole("01_one")
    path.unlink()
    assert not reproduce.is_whole("01_one")
    write_result(3.35)
    (project / "figures" / "01_one.svg").unlink()
    assert not reproduce.is_whole("01_one")
