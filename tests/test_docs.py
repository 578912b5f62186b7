"""Every Python example of README and docs runs as it stands; OTHERS have their own tests."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs" / "api.txt"]
OTHERS = {"add_your_own.md", "federated.md"}
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
    assert {"README.md", "distributed.md", "api.txt"} | OTHERS <= names


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
