"""The lock covers what pyproject.toml asks for, and conda users get the same packages."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: str = "requirements.lock") -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins), "every line of the lock is name==version"
    return {normal(name): version for name, version in pins}


def asked() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    extras.pop("bench")  # peers to compare with, which no part of the project imports
    extras.pop("federated")  # pinned apart: see below
    lists = [project["build-system"]["requires"], project["project"]["dependencies"]]
    lists += extras.values()
    names = [re.match(r"[\w.-]+", requirement) for every in lists for requirement in every]
    return {normal(name.group()) for name in names if name}


def test_every_dependency_and_extra_is_pinned() -> None:
    assert asked() <= pinned().keys()


def test_pins_carry_no_local_build_tag() -> None:
    assert [
        version for version in pinned().values() if not re.fullmatch(r"[\d.]+(b\d+)?", version)
    ] == []


def test_flower_is_pinned_apart_and_stands_in_for_nothing_of_the_lock() -> None:
    apart = pinned("examples/federated/requirements.txt")
    assert apart["flwr"].split(".")[:2] == ["1", "27"], "run.py starts the commands of this one"
    assert not apart.keys() & pinned().keys()


def test_without_flower_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("flwr", "flwr.app"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "paper_code.distributed.flower", raising=False)
    with pytest.raises(ImportError, match=r"pip install '.*\[federated\]'"):
        importlib.import_module("paper_code.distributed.flower")


def test_torch_stays_at_the_version_that_was_checked() -> None:
    assert pinned()["torch"] == "2.13.0"


def test_conda_installs_the_lock_the_package_and_an_allowed_python() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert "- -r requirements.lock" in text
    lines = [line.strip() for line in text.split("dependencies:")[1].splitlines() if line.strip()]
    python = re.fullmatch(r"- python=3\.(\d+)", lines[0])
    assert python and int(python.group(1)) >= 11
    installed = ["- pip", "- pip:", "- -r requirements.lock", "- --editable ."]
    assert lines[1:] == installed, "all else is in the lock"


@pytest.mark.parametrize("root", [True, False])
def test_make_lab_starts_for_root_too_and_passes_its_arguments_on(
    tmp_path: Path, root: bool
) -> None:
    (tmp_path / "id").write_text(f"#!/bin/sh\necho {0 if root else 1000}\n")
    (tmp_path / "id").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "-C", ROOT, "--dry-run", "lab", "PYTHON=python", "ARGS=--port 9999"]
    environment = os.environ | {"PATH": path}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    line = f"python -m jupyterlab {'--allow-root ' if root else ''}--port 9999 notebooks"
    assert line in [" ".join(each.split()) for each in out.stdout.splitlines()]


def test_the_citation_names_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_binder_installs_the_lock_without_torch() -> None:
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    left_out = re.search(r"grep -v '(.+)' requirements\.lock", script.read_text("utf-8"))
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert left_out
    assert [line for line in lines if re.match(left_out.group(1), line)] == ["torch==2.13.0"]
