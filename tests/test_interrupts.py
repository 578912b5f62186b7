"""`make reproduce` may be interrupted at any time: nothing half-written, and the next run ends."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
FILES = ("data/results/01_slow.json", "figures/01_slow.svg", "figures/01_slow.png")
OLD = "old"
CLAIM = """
[parameters.01_slow]
quick = false

[[claim]]
id = "one"
says = "one"
source = "nowhere"
notebook = "01_slow"
equals = 1
tolerance = 0
reason = "exact"
"""
CELLS = (
    "quick = False",
    "import os, signal, time\nfrom pathlib import Path\n"
    "from paper_code.companion import figures, notebook_run\n"
    "run = notebook_run.begin('01_slow', globals())",
    "figure, axes = figures.new()\nrun.save(figure, '01_slow')",
    "Path('build/reached').touch()\nmode = Path('build/mode').read_text()",
    "if mode == 'wait': time.sleep(60)\nif mode == 'die': os.kill(os.getpid(), signal.SIGKILL)",
    "run.record({'one': 1}, series=list(range(50_000)))",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one notebook, with results of an earlier run."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "paper_code", root / "paper_code")
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    for name in ("build", "notebooks", "data/results", "figures"):
        (root / name).mkdir(parents=True)
    (root / "data" / "claims.toml").write_text(CLAIM)
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / "01_slow.ipynb")
    for name in FILES:
        (root / name).write_text(OLD)
    return root


def reproduce(
    project: Path, mode: str, limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    (project / "build" / "reached").unlink(missing_ok=True)
    (project / "build" / "mode").write_text(mode)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        ["make", "reproduce", f"PYTHON={sys.executable}"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group of its own, which Ctrl-C would reach as a whole
        preexec_fn=limit,
    )


def assert_each_file_is_old_or_whole(project: Path, renewed: tuple[str, ...] = ()) -> None:
    for name in FILES:
        data = (project / name).read_bytes()
        if name not in renewed and data == OLD.encode():
            continue
        if name.endswith(".json"):
            assert len(json.loads(data)["series"]) == 50_000
        else:
            assert data.rstrip().endswith(b"</svg>" if name.endswith(".svg") else b"IEND\xaeB`\x82")
    assert [path for path in project.rglob(".*.tmp") if path.is_file()] == []


def test_an_interrupted_reproduce_leaves_no_half_written_file_and_can_be_run_again(
    project: Path,
) -> None:
    run = reproduce(project, "wait")
    while not (project / "build" / "reached").exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    assert "Interrupted" in run.communicate(timeout=30)[0]
    assert run.returncode
    assert_each_file_is_old_or_whole(project)

    run = reproduce(project, "die")
    assert "its kernel died" in run.communicate(timeout=120)[0]
    assert run.returncode
    assert_each_file_is_old_or_whole(project)

    run = reproduce(project, "", limit=no_file_above_100_kilobytes)
    assert "File too large" in run.communicate(timeout=120)[0]
    assert run.returncode
    assert (project / FILES[0]).read_text() == OLD
    assert_each_file_is_old_or_whole(project)

    run = reproduce(project, "")
    assert "passed" in run.communicate(timeout=120)[0]
    assert run.returncode == 0
    assert_each_file_is_old_or_whole(project, renewed=FILES)


def no_file_above_100_kilobytes() -> None:
    """As near to a full disk as an ordinary user comes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_killed_write_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    script = (
        "import itertools, sys; from files import atomic_write\n"
        "for i in itertools.cycle(b'ab'): atomic_write(sys.argv[1], bytes([i]) * 3_000_000)"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "paper_code" / "companion")
    }  # files.py alone is quick
    for after in (0.0, 0.003, 0.011, 0.02):
        target.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", script, target], env=environment)
        while not target.exists():
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(after)
        writer.kill()
        writer.wait()
        data = target.read_bytes()
        assert len(data) == 3_000_000
        assert len(set(data)) == 1
