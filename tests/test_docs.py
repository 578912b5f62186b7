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

from paper_code import TrellisCompression
from paper_code.distributed import CompressedReduceScatter

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


def of_distributed() -> list[str]:
    """The script of docs/distributed.md, what it adds for a checkpoint, and the lines for FSDP."""
    return BLOCK.findall((ROOT / "docs" / "distributed.md").read_text("utf-8"))


def test_the_lines_for_fsdp_run(alone: None) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (1,))
    model = torch.nn.Module()
    model.layers = torch.nn.ModuleList([torch.nn.Linear(3, 3)])
    for part in (*model.layers, model):
        fully_shard(part, mesh=mesh)
    given = {"model": model, "TrellisCompression": TrellisCompression}
    *_, lines = of_distributed()
    exec(lines, given | {"CompressedReduceScatter": CompressedReduceScatter})


def test_the_training_script_runs_in_two_processes(tmp_path: Path) -> None:
    script, checkpoint, _ = of_distributed()
    (tmp_path / "train.py").write_text(f"{script}\n{checkpoint}", "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--redirects", "3", "--log-dir", "log", "train.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    errors = [path.read_text("utf-8") for path in tmp_path.rglob("stderr.log")]
    assert done.returncode == 0, "\n".join([done.stderr, *errors])
    said = {path.parent.name: path.read_text("utf-8") for path in tmp_path.rglob("stdout.log")}
    lines = [
        re.fullmatch(rf"loss ([\d.]+), (\d+) bytes sent by process {rank}\n", said[rank])
        for rank in ("0", "1")
    ]
    assert all(lines), said
    # 650 coordinates a step, 32 bits each where nothing is compressed; ln 10 = 2.3 is a guess
    found = [(float(line[1]), int(line[2])) for line in lines if line]
    assert all(loss < 1.5 and 0 < sent < 20 * 650 * 4 for loss, sent in found)
    assert {path.name for path in tmp_path.glob("*.pt")} == {"checkpoint-0.pt", "checkpoint-1.pt"}
