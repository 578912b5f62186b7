"""The package by itself: built as a wheel, installed away from the checkout, used by a stranger."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)

USER_SCRIPT = """
from typing import assert_type
import numpy as np
from numpy.typing import NDArray
from paper_code import Message, SparseDithering, best_compressor, bounds, decode

message = assert_type(SparseDithering(nu=0.1).encode(np.ones(100)), Message)
y = assert_type(decode(message.to_bytes()), NDArray[np.floating])
excess = assert_type(message.bits - bounds.average_case_bits(0.1, 100), float)
x: NDArray[np.float32] = np.ones(100, np.float32)
print(best_compressor(1000, 0.1), y - x, excess)
"""

# As for a user without PyTorch, whose types take longer than all others.
MYPY = """
[mypy]
strict = true
[mypy-torch.*]
follow_imports = skip
ignore_missing_imports = true
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else; its parent is an empty home.

    It is built from a copy: a build leaves files beside the sources, and two at once meet there.
    """
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "paper_code", folder / "source" / "paper_code", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    source = [*offline, "--no-build-isolation", "--wheel-dir", folder, folder / "source"]
    subprocess.run([*pip, "wheel", *source], check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", folder / "site", wheel], check=True)
    return folder / "site"


def run(site: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": str(site), "PAPER_OFFLINE": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_readme_example_runs(site: Path) -> None:
    here = "import paper_code; assert 'site/paper_code' in paper_code.__file__\n"
    done = run(site, "-c", here + README[0])
    assert done.returncode == 0, done.stderr


def test_the_command_line_writes_and_reads_a_file(site: Path) -> None:
    x = "import numpy as np; np.save('x.npy', np.arange(1000.0))"
    assert run(site, "-c", x).returncode == 0
    for command in ("compress x.npy --alpha 0.1 -o x.ogc", "decompress x.ogc -o y.npy"):
        done = run(site, "-m", "paper_code", *command.split())
        assert done.returncode == 0, done.stderr
    same = "import numpy as np; x, y = np.load('x.npy'), np.load('y.npy')\n"
    same += "assert np.sum((x - y) ** 2) <= 0.1 * np.sum(x**2)"
    assert run(site, "-c", same).returncode == 0


def test_a_strict_type_checker_is_content_with_a_user_script(site: Path) -> None:
    (site.parent / "script.py").write_text(USER_SCRIPT)
    (site.parent / "mypy.ini").write_text(MYPY)
    done = run(site, "-m", "mypy", "--cache-dir", str(ROOT / "build" / "mypy"), "script.py")
    assert done.returncode == 0, done.stdout
    assert run(site, "script.py").returncode == 0


def test_it_knows_its_version(site: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    done = run(site, "-c", "import paper_code; print(paper_code.__version__)")
    assert done.stdout.strip() == project["version"], done.stderr


def test_the_ridge_problem_is_there_without_the_repository(site: Path) -> None:
    code = "from paper_code.companion import data_sets; print(data_sets.ridge_problem()[0].d)"
    done = run(site, "-c", code, PAPER_DATA_DIR="")
    assert done.stdout.strip() == "14", done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from paper_code.companion import claims; claims.load()",
        "from paper_code.companion import claim_table; claim_table.check()",
        "from paper_code.companion import notebook_run; notebook_run.begin('07_ridge', {})",
        "from paper_code.companion import reproduce; reproduce.main([])",
    ],
)
def test_what_needs_the_repository_says_so_and_writes_nothing(site: Path, code: str) -> None:
    before = sorted(site.parent.iterdir())
    done = run(site, "-c", code)
    assert done.returncode == 1
    assert "belong to the project's repository" in done.stderr.splitlines()[-1]
    assert sorted(site.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("missing", "code", "says"),
    [
        ("torch", "from paper_code import distributed; distributed.hook", r"PyTorch.*\[torch\]"),
        ("flwr", "import paper_code.distributed.flower", r"\[federated\]"),
        ("matplotlib", "import paper_code.companion.figures", r"\[notebooks\]"),
    ],
)
def test_what_is_missing_is_said_by_name(site: Path, missing: str, code: str, says: str) -> None:
    done = run(site, "-c", f"import sys; sys.modules[{missing!r}] = None\n{code}")
    assert done.returncode == 1
    assert re.search(rf"ImportError: .*{says}", done.stderr), done.stderr


def test_the_library_loads_neither_torch_nor_matplotlib(site: Path) -> None:
    code = "import paper_code, sys; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    assert run(site, "-c", code).stdout.strip() == "[]"
