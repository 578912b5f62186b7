"""A notebook's run refuses parameters that mean nothing, and writes where it may."""

import json
from pathlib import Path
from typing import Any

import pytest

from paper_code.companion import figures, files, notebook_run, results
from paper_code.companion.notebook_run import ParameterError

TOML = """
[parameters."03_sd"]
nu = 0.1
k = 3
dims = [2, 3]
kind = "Gaussian"
quick = false

[[claim]]
id = "rate"
says = "Bits a coordinate"
source = "poster"
notebook = "03_sd"
equals = 3.35
tolerance = 0.005
reason = "two decimals"
"""
REFERENCE = {"nu": 0.1, "k": 3, "dims": [2, 3], "kind": "Gaussian", "quick": False}
ALLOWED = {
    "nu": "0 < nu < 1",
    "k": "1 <= k <= max(dims)",
    "dims": "dims and all(d >= k - 1 for d in dims)",
    "kind": ["Gaussian", "sparse"],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one notebook's parameters and one claim, in no run of make."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.delenv(files.OUTPUT_VARIABLE, raising=False)
    files.atomic_write(tmp_path / "data" / "claims.toml", TOML)
    return tmp_path


def begin(**changed: Any) -> notebook_run.Run:
    return notebook_run.begin("03_sd", {**REFERENCE, **changed, "other": 1}, **ALLOWED)


def written(project: Path) -> list[str]:
    """What lies below the project beside its claims."""
    found = (path for path in project.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(project)) for path in found if path.suffix != ".toml")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nu": "abc"}, r"nu must be a number \(such as 0.1\), got 'abc'"),
        ({"nu": True}, "nu must be a number"),
        ({"nu": float("inf")}, "nu must be finite"),
        ({"nu": float("nan")}, "nu must be finite"),
        ({"nu": 1}, "nu = 1.0 is not allowed: 0 < nu < 1$"),
        ({"k": 2.5}, "k must be a whole number"),
        ({"k": 4}, r"k = 4 is not allowed: 1 <= k <= max\(dims\), dims = \[2, 3\]$"),
        ({"dims": 3}, r"dims must be a list like \[2, 3\], got 3"),
        ({"dims": [2, "x"]}, r"dims\[1\] must be a whole number"),
        ({"dims": []}, "is not allowed: "),
        ({"kind": "sd"}, "kind = 'sd' is not allowed: choose one of 'Gaussian', 'sparse'"),
        ({"kind": 3}, "kind must be a text"),
        ({"quick": "no"}, "quick must be True or False"),
        ({"quick": 1}, "quick must be True or False"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(
    project: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        begin(**changed)


def test_a_parameter_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(ParameterError, match="must set 'nu'"):
        notebook_run.begin("03_sd", {})
    with pytest.raises(ValueError, match="no parameter 'mu'; it has"):
        notebook_run.begin("03_sd", REFERENCE, mu="mu > 0")
    with pytest.raises(ValueError, match="no parameters of '99_x'"):
        notebook_run.begin("99_x", REFERENCE)


def test_a_whole_number_serves_as_a_float_and_is_not_a_change(project: Path) -> None:
    run = begin(dims=(2, 3))
    assert run.is_reference and run.changed == {}
    assert begin(k=2, nu=0.2).changed == {"nu": 0.2, "k": 2}


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({}, "reference"),
        ({"nu": 0.05}, "nu=0.05"),
        ({"dims": [3, 20], "quick": True}, "dims=3-20,quick=True"),
    ],
)
def test_a_run_outside_make_writes_below_build(
    project: Path, changed: dict[str, Any], label: str
) -> None:
    assert begin(**changed).folder == project / "build" / "03_sd" / label


def test_other_values_have_another_folder_however_long(project: Path) -> None:
    lists = [list(range(3, 3 + n)) for n in (100, 101)]
    names = [begin(dims=dims).folder.name for dims in lists]
    assert names[0] != names[1] and all(len(name) < 200 for name in names)


def test_only_make_s_run_at_the_reference_writes_the_project_s_results(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(files.OUTPUT_VARIABLE, str(project))
    assert begin().folder == project
    assert begin(nu=0.2).folder == project / "build" / "03_sd" / "nu=0.2"
    monkeypatch.setenv(files.OUTPUT_VARIABLE, "build/quick")
    assert begin().folder == project / "build" / "quick" / "03_sd" / "reference"
    assert begin(nu=0.2).folder == project / "build" / "quick" / "03_sd" / "nu=0.2"


def test_a_result_carries_its_parameters_and_claims_are_judged_at_the_reference_only(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = begin().record({"rate": 3.35}, curve=[0.1 + 0.2])
    assert [row.verdict for row in rows] == ["passed"]
    note = begin(nu=0.2).record({"rate": 3.35})
    assert note == note._repr_markdown_() == "not judged: nu = 0.2"
    assert written(project) == [
        "build/03_sd/nu=0.2/data/results/03_sd.json",
        "build/03_sd/reference/data/results/03_sd.json",
    ]
    assert capsys.readouterr().out.splitlines()[1] == f"wrote {written(project)[0]}"
    content = json.loads((project / written(project)[1]).read_text())
    assert content["parameters"] == REFERENCE
    assert content["curve"] == [0.3]
    assert content["digest"] == results.digest(content)
    assert content["digest"] != results.digest({**content, "claims": {"rate": 3.36}})


def test_what_cannot_be_recorded_leaves_no_file(project: Path) -> None:
    with pytest.raises(ValueError, match="'rat' is not a claim of '03_sd'"):
        begin().record({"rat": 1})
    with pytest.raises(ValueError, match="finite"):
        begin().record({"rate": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        begin().record({"rate": 1}, more=float("inf"))
    assert written(project) == []


def test_a_figure_of_changed_parameters_names_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure, axes = figures.new()
    axes.plot([0, 1])
    texts = []
    monkeypatch.setattr(
        figures, "write", lambda figure, *_: texts.append([t.get_text() for t in figure.texts])
    )
    begin().save(figure, "03_sd")
    begin(nu=0.2, dims=[5, 6]).save(figure, "03_sd_steps")
    assert texts == [[], ["nu = 0.2, dims = [5, 6]"]]
    assert figure.texts == []


def test_the_changed_parameters_take_as_many_lines_as_the_figure_s_width_needs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure, axes = figures.new()
    axes.plot([0, 1])
    boxes = []

    def measure(figure: Any, *_: object) -> None:
        figure.draw_without_rendering()
        boxes.extend(text.get_window_extent() for text in figure.texts)

    monkeypatch.setattr(figures, "write", measure)
    begin(nu=0.2).save(figure, "03_sd")
    begin(nu=0.2, dims=list(range(3, 60))).save(figure, "03_sd")
    one, several = boxes
    assert several.height > 2 * one.height
    assert several.y1 == one.y1 < 0, "below the figure"
    assert several.x0 >= 0 and several.x1 <= figure.bbox.x1


def test_a_figure_is_written_whole_or_not_at_all(project: Path) -> None:
    figure, axes = figures.new()
    picture = begin(nu=0.2).save(figure, "03_sd")
    names = [f"build/03_sd/nu=0.2/figures/03_sd.{kind}" for kind in ("png", "svg")]
    assert written(project) == names
    assert (project / names[0]).read_bytes() == picture._repr_png_()
    before = [(project / name).read_bytes() for name in names]
    axes.set_title(r"$\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        begin(nu=0.2).save(figure, "03_sd")
    assert written(project) == names
    assert [(project / name).read_bytes() for name in names] == before
    with pytest.raises(ValueError, match="must begin with '03_sd'"):
        begin().save(figure, "04_other")


def test_quick_says_what_it_replaces_and_honours_what_was_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin().quicker("k", 1) == 3
    assert begin(quick=True).quicker("k", 1) == 1
    assert begin(quick=True, k=2).quicker("k", 1) == 2
    assert capsys.readouterr().out == "quick: k = 1 instead of 3\n"


def test_outside_the_repository_one_line_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    with pytest.raises(RuntimeError, match="belong to the project's repository"):
        begin()
    assert list(tmp_path.iterdir()) == []
