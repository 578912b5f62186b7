"""The committed notebooks keep their form, and the runner says clearly what went wrong."""

import ast
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode

from paper_code.companion import claims, files, run_notebooks

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@each_notebook
def test_is_committed_without_outputs(path: Path) -> None:
    assert [cell.source for cell in code_cells(path) if cell.outputs or cell.execution_count] == []


@each_notebook
def test_has_one_parameters_cell_with_quick_off(path: Path) -> None:
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert re.search("^quick = False\\b", tagged[0].source, re.MULTILINE)


@each_notebook
def test_its_parameters_are_the_reference_parameters_of_its_claims(path: Path) -> None:
    (cell,) = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    given: dict[str, object] = {}
    exec(cell.source, given)
    del given["__builtins__"]
    reference = claims.reference_parameters(path.stem)
    assert given == reference, "data/claims.toml and the notebook must agree"
    assert list(given) == list(reference)


@each_notebook
def test_its_result_and_figure_are_committed(path: Path) -> None:
    assert (ROOT / "data" / "results" / f"{path.stem}.json").exists()
    pictures = {figure.name for figure in (ROOT / "figures").glob(f"{path.stem}*")}
    drawn = {name.removesuffix(".svg") for name in pictures if name.endswith(".svg")}
    assert drawn
    assert pictures == {f"{name}.{kind}" for name in drawn for kind in ("svg", "png")}


@each_notebook
def test_times_of_codecs_are_read_from_the_benchmark_s_results(path: Path) -> None:
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Codec":
                typed = [each for each in node.args if isinstance(each, ast.Constant)]
                assert typed == [], ast.unparse(node)


@pytest.mark.parametrize(
    ("stem", "is_stand_in", "is_reference"),
    [("07_ridge", False, False), ("08_logistic", True, True), ("08_logistic", False, False)],
)
def test_other_data_or_parameters_are_not_compared_with_the_poster(
    stem: str, is_stand_in: bool, is_reference: bool
) -> None:
    cells = code_cells(ROOT / "notebooks" / f"{stem}.ipynb")
    (cell,) = [cell for cell in cells if "poster_names = {" in cell.source]
    about_the_poster = cell.source[cell.source.index("poster_names = {") :]
    given = {
        "json": json,
        "np": np,
        "files": files,
        "source": SimpleNamespace(is_stand_in=is_stand_in),
        "run": SimpleNamespace(is_reference=is_reference),
    }
    exec(about_the_poster, given)
    assert given["published"] and given["poster"] == {}


def write(path: Path, *sources: str) -> Path:
    """A notebook at `path` whose first cell is its parameters."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    module = "paper_code.companion.run_notebooks"
    command = [sys.executable, "-m", module, "--output", folder, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_notebook_runs_in_this_python_and_a_failed_one_says_where(tmp_path: Path) -> None:
    wanted = f"assert (sys.executable, alpha, k) == ({sys.executable!r}, 1e-4, 'best')"
    good = write(tmp_path / "01_good.ipynb", "alpha = 1.0\nk = 'most'", "import sys\n" + wanted)
    bad = write(tmp_path / "02_bad.ipynb", "alpha = 0.0\nk = ''", "assert k == 2, 'not two'")
    outcome = run(tmp_path / "out", "-p", "alpha", "1e-4", "-p", "k", "best", good, bad)
    assert outcome.returncode == 1
    assert "done   01_good" in outcome.stdout
    assert "FAILED 02_bad" in outcome.stdout
    assert "AssertionError: not two" in outcome.stdout
    label = "alpha=0.0001,k=best"
    left = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("out/*/*/*"))
    assert left == [f"01_good/{label}/01_good.ipynb", "02_bad/unfinished/02_bad.ipynb"]


def test_two_runs_at_once_do_not_collide(tmp_path: Path) -> None:
    path = write(tmp_path / "01_one.ipynb", "n = 0", "import time; time.sleep(2)\nprint('n is', n)")
    with ThreadPoolExecutor() as pool:
        arguments = [[], ["-p", "n", "1"], ["-p", "n", "1"]]
        outcomes = list(pool.map(lambda a: run(tmp_path / "out", *a, path), arguments))
    assert [outcome.returncode for outcome in outcomes] == [0, 0, 0], outcomes
    for label, n in (("reference", 0), ("n=1", 1)):
        assert f"n is {n}" in (tmp_path / "out" / "01_one" / label / path.name).read_text()


def test_a_parameter_that_is_not_allowed_is_one_line(tmp_path: Path) -> None:
    begin = "from paper_code.companion import notebook_run\n"
    begin += "notebook_run.begin('01_one_message', globals(), nu='0 < nu < 1')"
    source = "nu = 0.1\nd = 14\nseed = 0\nquick = False"
    path = write(tmp_path / "01_one_message.ipynb", source, begin)
    outcome = run(tmp_path / "out", "-p", "nu", "2.0", path)
    assert outcome.returncode == 1
    assert outcome.stdout.splitlines()[-1] == "nu = 2.0 is not allowed: 0 < nu < 1"


def test_what_is_edited_during_a_run_counts_as_newer(tmp_path: Path) -> None:
    edit = f"import pathlib; pathlib.Path({str(tmp_path / 'module.py')!r}).touch()"
    path = write(tmp_path / "03_edit.ipynb", "quick = False", edit)
    assert run(tmp_path / "out", path).returncode == 0
    copy = tmp_path / "out" / "03_edit" / "reference" / path.name
    assert copy.stat().st_mtime < (tmp_path / "module.py").stat().st_mtime


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alhpa", "0.2", "07_x.ipynb has no parameter 'alhpa'; it has ['quick', 'alpha']"),
        ("alpha", "abc", "alpha must be a number (such as 0.1), got 'abc'"),
        ("quick", "no", "quick must be True or False (such as False), got 'no'"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str, message: str
) -> None:
    path = write(tmp_path / "07_x.ipynb", "quick = False\nalpha = 0.1")
    command = ["--output", tmp_path / "out", "-p", name, value, path]
    assert run_notebooks.main([*map(str, command)]) == 2
    assert capsys.readouterr().err == f"{message}\n"
    assert not (tmp_path / "out").exists()


def test_a_missing_notebook_is_one_line_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_notebooks.main(["no.ipynb"]) == 2
    assert capsys.readouterr().err == "there is no notebook no.ipynb\n"


def test_a_second_run_says_how_long_it_will_take_and_what_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "04_slow.ipynb", "quick = False", "import time; time.sleep(2)")
    code = "import sys; from paper_code.companion import run_notebooks; "
    code += "run_notebooks.REPORT_SECONDS = 0.2; "
    code += "sys.exit(run_notebooks.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--output", tmp_path / "out", path]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for known in (False, True):
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        told = re.search(r"still running 04_slow; about (\d+) s left", out.stdout)
        assert bool(told) == known
    assert 1 <= int(told.group(1)) <= 60
    assert f"wrote {tmp_path}/out/04_slow/reference/04_slow.ipynb" in out.stdout
