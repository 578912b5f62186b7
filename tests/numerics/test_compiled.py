"""Kernels: loaded late, compiled once, never stale, and there where nothing may be written."""

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import paper_code
from paper_code.numerics import compiled

ROOT = Path(__file__).parents[2]
COUNT_ONES = (
    "import numpy as np; from paper_code.coding import words;"
    "print(words.count_ones(np.array([15, 0], np.uint64), 0, 64))"
)


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def copied_to(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT / "paper_code", folder / "paper_code", ignore=ignored)


def test_import_leaves_out_what_only_figures_and_problems_need() -> None:
    program = "import sys, paper_code; print(*(name for name in NAMES if name in sys.modules))"
    names = "NAMES = ['matplotlib', 'sklearn', 'torch', 'pandas', 'pooch', 'scipy.optimize']\n"
    assert python(names + program).stdout.strip() == ""


def test_compilation_is_said_once_and_only_when_it_happens(tmp_path: Path) -> None:
    program = (
        "import numpy as np, paper_code.numerics.norms as k; "
        "k.peak(np.ones(3)); k.peak(np.ones(2, 'f4'))"
    )
    said = [python(program, NUMBA_CACHE_DIR=str(tmp_path)).stderr for _ in range(2)]
    assert said == [compiled.NOTICE + "\n", ""]


def test_a_read_only_installation_without_a_home_compiles_in_memory(tmp_path: Path) -> None:
    """Files stand where the folders would be made: that stops root too, as modes do not."""
    package = copied_to(tmp_path)
    for room in {path.parent for path in package.rglob("*.py")}:
        (room / "__pycache__").touch()
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "NUMBA_CACHE_DIR": ""}
    run = python(COUNT_ONES, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1", **nowhere)
    assert (run.stdout, run.stderr) == ("4\n", compiled.NOT_KEPT + "\n")


def test_kernels_are_compiled_though_numba_is_told_not_to() -> None:
    run = python(COUNT_ONES, NUMBA_DISABLE_JIT="1")
    assert run.stdout == "4\n"
    assert run.stderr.splitlines()[0] == compiled.JIT_NEEDED


def test_a_kernel_on_disk_is_not_used_after_a_change_of_one_that_it_calls(tmp_path: Path) -> None:
    """Numba looks at a kernel's own file only, and at its time and size."""
    source = copied_to(tmp_path) / "coding" / "words.py"

    def count(**environment: str) -> str:
        return python(COUNT_ONES, PYTHONPATH=str(tmp_path), **environment).stdout

    for place in ({}, {"NUMBA_CACHE_DIR": str(tmp_path / "elsewhere")}):
        honest, times = source.read_text("utf-8"), source.stat()
        assert count(**place) == "4\n"
        source.write_text(honest.replace("return value >> np.uint64(64 - width)", "return ONE"))
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert count(**place) == "1\n"
        source.write_text(honest)
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("room", ["numerics", "coding", "compressors"])
def test_the_digest_holds_every_kernel_of_every_room(room: str) -> None:
    folder = ROOT / "paper_code"
    digested = compiled.kernel_sources(folder)
    modules = pkgutil.walk_packages([str(folder / room)], f"{paper_code.__name__}.{room}.")
    members = [m for module in modules for m in vars(importlib.import_module(module.name)).values()]
    kernels = [member for member in members if isinstance(member, Dispatcher)]
    assert len(kernels) > 4
    assert all(Path(k.py_func.__code__.co_filename) in digested for k in kernels)
