"""Installed without the repository, the ridge problem is there, and claims and figures say no."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the package into, from a copy of the sources."""
    base = tmp_path_factory.mktemp("outside")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "paper_code", base / "source" / "paper_code", ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, base / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", base / "site", base / "source"]
    subprocess.run(command, check=True)
    return base / "site"


def run(installed: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PAPER_OFFLINE": "1"}
    environment.pop("PAPER_DATA_DIR", None)
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(
        command, cwd=installed, env=environment, capture_output=True, text=True, check=False
    )


def test_the_ridge_problem_needs_no_repository(installed: Path) -> None:
    code = "from paper_code.companion import data_sets\nprint(data_sets.ridge_problem()[0].d)"
    outcome = run(installed, code)
    assert outcome.stdout == "14\n", outcome.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from paper_code.companion import claims; claims.load()",
        "from paper_code.companion import claim_table; claim_table.check()",
        "from paper_code.companion import notebook_run; notebook_run.begin('07_ridge', {})",
        "from paper_code.companion import reproduce; reproduce.main([])",
    ],
)
def test_what_needs_the_repository_says_so_and_writes_nothing(installed: Path, code: str) -> None:
    before = sorted(path for path in installed.parent.iterdir())
    outcome = run(installed, code)
    assert outcome.returncode == 1
    assert "belong to the project's repository" in outcome.stderr.splitlines()[-1]
    assert sorted(path for path in installed.parent.iterdir()) == before
