"""Every Python example of README and docs runs as it stands; OTHERS have their own tests."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs" / "api.txt"]
OTHERS = {"add_your_own.md", "distributed.md", "federated.md"}
WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text("utf-8"))]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one worker, so that DistributedDataParallel can be made."""
    meeting = f"file://{tmp_path / 'meeting'}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_the_pages_are_found() -> None:
    names = {page.name for page in WITH_CODE}
    assert {"README.md", "api.txt"} | OTHERS <= names


@pytest.mark.parametrize(
    "page", [page for page in WITH_CODE if page.name not in OTHERS], ids=lambda p: p.name
)
def test_its_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: None
) -> None:
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Linear(3, 2)
    given = {"torch": torch, "model": model, "rank": 0, "ddp": DistributedDataParallel(model)}
    for block in BLOCK.findall(page.read_text("utf-8")):
        exec(compile(block, str(page), "exec"), given)
    if "distributed" in given:  # a hook was registered: a step goes through it
        given["ddp"](torch.ones(4, 3)).sum().backward()
        assert np.all(np.isfinite(model.weight.grad.numpy()))


def test_the_training_script_runs_in_two_processes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "distributed.md").read_text("utf-8")
    (tmp_path / "train.py").write_text("\n".join(BLOCK.findall(page)), "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "2", "train.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # Two processes write to one pipe: a line may begin within the other's.
    found = re.findall(r"loss ([\d.]+), (\d+) bytes sent by process (\d)", done.stdout)
    assert {process for _, _, process in found} == {"0", "1"}
    # 650 coordinates a step, 32 bits each where nothing is compressed; ln 10 = 2.3 is a guess
    assert all(float(loss) < 1.5 and 0 < int(sent) < 20 * 650 * 4 for loss, sent, _ in found)
    assert {path.name for path in tmp_path.glob("*.pt")} == {"checkpoint-0.pt", "checkpoint-1.pt"}
