"""The training example offers every compressor that can send a long vector."""

import importlib.util
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import paper_code

PATH = Path(__file__).parent.parent / "examples" / "train_digits.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_digits", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_compressor_is_an_option(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["train_digits.py"])
    options: Namespace = example.settings()
    made = [make(options) for make in example.COMPRESSORS.values()]
    x = np.random.default_rng(0).standard_normal(17_500).astype(np.float32)
    for compressor in made:
        message = compressor.encode(x, np.random.default_rng(1))
        np.testing.assert_array_equal(paper_code.decode(message.to_bytes()), message.decode())
    public = (getattr(paper_code, name) for name in paper_code.__all__)
    kinds = {kind for kind in public if isinstance(kind, type) and hasattr(kind, "wire_id")}
    # Spherical Compression searches through 1/P directions: not for thousands of coordinates.
    # Correlated dithers need workers whose generators are in the same state; the hook's are not.
    left_out = {paper_code.SphericalCompression, paper_code.CorrelatedDithering}
    assert kinds - {type(compressor) for compressor in made} == left_out


def test_the_processes_share_the_training_images(example: ModuleType) -> None:
    shares = [example.digits(rank, 4) for rank in range(4)]
    assert sum(len(labels) for (_, labels), _ in shares) == example.TRAIN_IMAGES
    assert min(len(labels) for (_, labels), _ in shares) == example.TRAIN_IMAGES // 4
    assert {len(labels) for _, (_, labels) in shares} == {1797 - example.TRAIN_IMAGES}
    parameters = example.network(0).parameters()
    assert sum(part.numel() for part in parameters) / 4 > 1 << 14  # the trellis's fast path
