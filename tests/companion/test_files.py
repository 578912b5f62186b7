"""A file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from paper_code.companion import files


def test_writes_bytes_and_text_and_makes_the_folder(tmp_path: Path) -> None:
    files.atomic_write(tmp_path / "new" / "a", b"\x00\xff")
    files.atomic_write(tmp_path / "b", "Richtárik\n")
    assert (tmp_path / "new" / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_bytes() == "Richtárik\n".encode()


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_failure_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")

    def full_disk(path: Path, *_: object) -> None:
        with open(path, "wb") as half_written:
            half_written.write(b"ne")
        raise OSError("no space left on device")

    monkeypatch.setattr(Path if step == "write_bytes" else os, step, full_disk)
    with pytest.raises(OSError, match="no space"):
        files.atomic_write(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    files.atomic_write(tmp_path / "ours", "")
    (tmp_path / "plain").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_output_dir_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(files.OUTPUT_VARIABLE, raising=False)
    assert files.output_dir() == files.ROOT
    monkeypatch.setenv(files.OUTPUT_VARIABLE, "build/quick")
    assert files.output_dir() == files.ROOT / "build" / "quick"
    monkeypatch.setenv(files.OUTPUT_VARIABLE, "/elsewhere")
    assert files.output_dir() == Path("/elsewhere")
