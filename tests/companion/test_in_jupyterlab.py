"""A parameter changed in JupyterLab: the project's results stay as they were."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
from jupyter_lab import jupyterlab, run_cells

ROOT = Path(__file__).parents[2]


def git_status() -> str:
    """Which files of the project are not as committed."""
    command = ["git", "-C", ROOT, "status", "--porcelain", "notebooks", "figures", "data"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def to_reproduce() -> str:
    """What `make reproduce` would run."""
    command = ["make", "-C", ROOT, "--dry-run", "reproduce", f"PYTHON={sys.executable}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def contents() -> dict[Path, bytes]:
    """The project's results and figures, and the executed notebooks."""
    folders = ("data/results", "figures", "build/notebooks")
    return {p: p.read_bytes() for name in folders for p in (ROOT / name).glob("*") if p.is_file()}


def test_a_changed_parameter_touches_nothing_that_make_reproduce_made(tmp_path: Path) -> None:
    stem = "01_one_message"
    cells = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    assert "nu = 0.1 " in sources[0]
    sources[0] = sources[0].replace("nu = 0.1 ", "nu = 0.02 ")
    written = ROOT / "build" / stem / "nu=0.02" / "data" / "results" / f"{stem}.json"
    written.unlink(missing_ok=True)  # of an earlier test
    before = git_status(), contents(), to_reproduce()

    with jupyterlab(ROOT / "notebooks", tmp_path) as address:
        printed = run_cells(address, f"{stem}.ipynb", ["import os; print(os.getcwd())", *sources])

    assert printed.startswith(f"{ROOT / 'notebooks'}\n")
    assert f"wrote {written.relative_to(ROOT)}\n" in printed
    assert json.loads(written.read_text("utf-8"))["parameters"]["nu"] == 0.02
    assert (git_status(), contents(), to_reproduce()) == before
