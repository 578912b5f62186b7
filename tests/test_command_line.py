"""`python -m paper_code`: arrays come back within their error, and nothing is half-written."""

import re
from pathlib import Path

import numpy as np
import pytest
from awkward import relative_error

from paper_code import SparseDithering, TopK, __main__, decode
from paper_code.__main__ import main


def run(command: str, *paths: Path, options: str = "") -> int:
    source, *target = map(str, paths)
    return main([command, source, *(("-o", *target) if target else ()), *options.split()])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (40, 50), (7, 5, 90)])
def test_an_array_comes_back_in_shape_and_type_within_alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: str
) -> None:
    monkeypatch.setattr(__main__, "PIECE", 1000)  # the larger arrays take several frames
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), dtype)
    x_path, frames, y_path = (tmp_path / name for name in ("x.npy", "x.ogc", "y.npy"))
    np.save(x_path, x)
    assert run("compress", x_path, frames, options="--alpha 0.3") == 0
    assert run("decompress", frames, y_path) == 0
    y = np.load(y_path)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert relative_error(y, x) <= 0.3 * (1 + 1e-6)  # what rounding to float16 and float32 adds
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", "x.ogc", "y.npy"}


def test_a_file_of_one_frame_is_what_decode_reads(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(-50.0, 50))
    run("compress", tmp_path / "x.npy", tmp_path / "x.ogc", options="--alpha 0.1 --seed 1")
    assert decode((tmp_path / "x.ogc").read_bytes()).shape == (100,)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal(2000)
    np.save(tmp_path / "x.npy", x)  # convolutional compression is the shortest here, and draws
    files = [tmp_path / name for name in ("a.ogc", "b.ogc", "c.ogc")]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        run("compress", tmp_path / "x.npy", path, options=f"--alpha 0.7 --seed {seed}")
    one, again, other = (path.read_bytes() for path in files)
    assert one == again != other


def test_inspect_counts_what_the_messages_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [SparseDithering(0.1).encode(np.ones((n, 3), np.float32)) for n in (2, 5)]
    path = tmp_path / "x.ogc"
    path.write_bytes(b"".join(frame.to_bytes() for frame in frames))
    assert run("inspect", path) == 0
    out = capsys.readouterr().out
    assert "shape (7, 3), float32, 21 coordinates, 84 bytes" in out
    assert f"{path.stat().st_size} bytes, 2 frames" in out
    assert f"payload     {sum(frame.bits for frame in frames)} bits" in out
    assert "SparseDithering(nu=0.1" in out


def frame(*shape: int) -> bytes:
    return TopK(1).encode(np.ones(shape, np.float32)).to_bytes()


def npy(folder: Path, *arrays: np.ndarray) -> bytes:
    np.save(folder / "made.npy", *arrays, allow_pickle=True)
    return (folder / "made.npy").read_bytes()


@pytest.mark.parametrize(
    ("command", "content", "says"),
    [
        ("compress", b"abc", "is no .npy file of numbers"),
        ("compress", np.array([1, 2]), "holds int64; allowed are float16, float32, float64"),
        ("compress", np.array([{}]), "is no .npy file of numbers"),
        ("compress", np.ones((0, 3)), r"shape \(0, 3\), which is empty"),
        ("compress", np.array([1.0, np.nan]), r"x\[1\] \(flat index\) is nan"),
        ("decompress", b"", "is empty"),
        ("decompress", b"\xd5", "ends early"),
        ("decompress", frame(2) + b"x", "after 1 whole frames"),
        ("decompress", frame(2, 3) + frame(2, 4), "frames of different kinds"),
        ("decompress", frame() + frame(), "no rows of one array"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_no_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    content: bytes | np.ndarray,
    says: str,
) -> None:
    source = tmp_path / "source"
    source.write_bytes(content if isinstance(content, bytes) else npy(tmp_path, content))
    alpha = "--alpha 0.1" if command == "compress" else ""
    assert run(command, source, tmp_path / "target", options=alpha) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(says, err)
    assert not (tmp_path / "target").exists()


def test_a_refusal_says_from_which_coordinate_on_its_frame_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "PIECE", 100)  # three rows of thirty a frame
    x = np.ones((10, 30))
    x[7, 2] = np.nan
    np.save(tmp_path / "x.npy", x)
    assert run("compress", tmp_path / "x.npy", tmp_path / "y", options="--alpha 0.1") == 1
    assert "from flat index 180 on: x[32] (flat index) is nan" in capsys.readouterr().err


def test_an_existing_output_is_replaced_only_with_force(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(5))
    (tmp_path / "old").write_text("keep")
    assert run("compress", tmp_path / "x.npy", tmp_path / "old", options="--alpha 0.1") == 1
    assert (tmp_path / "old").read_text() == "keep"
    assert run("compress", tmp_path / "x.npy", tmp_path / "old", options="--alpha 0.1 --force") == 0
    assert (tmp_path / "old").read_bytes()[:2] == b"\xd5g"


@pytest.mark.parametrize("alpha", ["0", "1", "-1", "nan", "much"])
def test_an_alpha_that_no_compressor_has_is_refused_with_what_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], alpha: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        run("compress", tmp_path / "x.npy", tmp_path / "y", options=f"--alpha={alpha}")
    assert stop.value.code == 2
    assert "allowed are 1e-9 <= alpha < 1" in capsys.readouterr().err
