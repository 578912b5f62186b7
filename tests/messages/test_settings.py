"""Settings in a frame: every type reads back, and what cannot be sent or read is named."""

import ast
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from paper_code import (
    Compressor,
    FormatError,
    Guarantee,
    Identity,
    Message,
    SparseDithering,
    TopK,
    decode,
)
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.messages import settings
from paper_code.messages.message import Header

ROOT = Path(__file__).parents[2]
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


class Zeros(Compressor):
    """Decodes to zeros: the settings are what is tested."""

    def guarantee(self, d: int) -> Guarantee:
        return Guarantee.strictly_contractive(1.0)

    def _write(self, x: np.ndarray, writer: BitWriter, header: Header, rng: object) -> None:
        pass

    def _read(self, reader: BitReader, header: Header) -> np.ndarray:
        return np.zeros(header.d)


@dataclass(frozen=True)
class Every(Zeros, wire_id=240):
    real: float
    whole: int
    flag: bool
    choice: Literal["a", "b"]


@dataclass(frozen=True)
class Grown(Zeros, wire_id=242, later={"extra": 243, "more": 244}):
    whole: int
    more: bool = False
    extra: int = 5


@dataclass(frozen=True)
class Wrapped(Zeros, wire_id=241):
    inner: Compressor


def packed(compressor: Compressor) -> bytes:
    return compressor.encode(np.ones(2, np.float32)).to_bytes()


def changed(data: bytes, position: int, new: bytes) -> bytes:
    body = data[:position] + new + data[position + len(new) : -4]
    return body + zlib.crc32(body).to_bytes(4, "little")


@pytest.mark.parametrize("real", [0.1, -0.0, 5e-324, np.inf])
def test_every_kind_of_setting_reads_back(real: float) -> None:
    for whole in (0, 300, 2**64 - 1):
        compressor = Wrapped(Wrapped(Every(real, whole, True, "b")))
        message = compressor.encode(np.ones(2))
        assert message.from_bytes(message.to_bytes()) == message


@pytest.mark.parametrize(
    ("position", "new", "named"),
    [
        (6, b"\0\0\0\0\0\0\xf8\x7f", "setting real is not a number"),
        (15, b"\2", "setting flag is number 2 of 2 choices"),
        (16, b"\xff", "setting choice is number 255 of 2 choices"),
    ],
)
def test_settings_that_cannot_be_read(position: int, new: bytes, named: str) -> None:
    data = packed(Every(0.5, 3, True, "a"))
    assert decode(changed(data, position, data[position : position + 1])).size == 2
    with pytest.raises(FormatError, match=named):
        decode(changed(data, position, new))


@pytest.mark.parametrize(
    ("compressor", "error", "named"),
    [
        (Every("x", 3, True, "a"), ValueError, "real of Every is 'x'"),
        (Every(0.5, -1, True, "a"), ValueError, "whole of Every is -1: integer -1 cannot be sent"),
        (Every(0.5, 1 << 64, True, "a"), ValueError, "whole of Every is 18446744073709551616"),
        (Every(0.5, 2.0, True, "a"), TypeError, "whole of Every is 2.0"),
        (Every(0.5, 3, True, "c"), ValueError, "choice of Every is 'c'"),
    ],
)
def test_settings_that_cannot_be_sent(
    compressor: Compressor, error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        packed(compressor)


def test_an_identifier_is_one_byte_and_one_class() -> None:
    with pytest.raises(ValueError, match="wire_id of Wide is 256; allowed are 0 to 255"):
        type("Wide", (Zeros,), {}, wire_id=256)
    with pytest.raises(ValueError, match="wire_id 240 of Other belongs to Every"):
        type("Other", (Zeros,), {}, wire_id=240)
    assert settings.registered()[240] is Every


@pytest.mark.parametrize(
    ("compressor", "settings_of_the_frame", "shown"),
    [
        (Grown(3), "f2 03", "Grown(whole=3)"),
        (Grown(3, extra=6), "f3 03 06", "Grown(whole=3, extra=6)"),
        (Grown(3, more=True), "f4 03 01 05", "Grown(whole=3, more=True, extra=5)"),
    ],
)
def test_a_later_setting_takes_an_identifier_of_its_own(
    compressor: Compressor, settings_of_the_frame: str, shown: str
) -> None:
    data = packed(compressor)
    assert settings.pack_compressor(compressor) == bytes.fromhex(settings_of_the_frame)
    assert Message.from_bytes(data).compressor == compressor
    assert repr(compressor) == shown
    assert settings.registered()[data[5]] is Grown


def test_a_setting_under_a_later_identifier_than_it_needs_is_refused() -> None:
    """Every message has exactly one frame."""
    data = packed(Grown(3, extra=6))
    with pytest.raises(FormatError, match=r"compressor 243 is Grown\(whole=3\).* under 242"):
        decode(changed(data, 7, b"\5"))


def test_nesting_is_bounded() -> None:
    deep: Compressor = Identity()
    for _ in range(3):
        deep = Wrapped(deep)
    data = packed(deep)
    assert decode(data).size == 2
    with pytest.raises(ValueError, match="nested more than 4 deep"):
        packed(Wrapped(deep))
    body = data[:5] + bytes([Wrapped.wire_id]) * 100_000
    with pytest.raises(FormatError, match="nested more than 4 deep"):
        decode(body)


def test_numpy_integers_are_sent_as_integers() -> None:
    assert packed(TopK(np.int64(2))) == packed(TopK(2))
    assert packed(SparseDithering(np.float64(0.5))) == packed(SparseDithering(0.5))


def test_an_array_of_16_dimensions_is_refused() -> None:
    assert decode(Identity().encode(np.ones((1,) * 15)).to_bytes()).shape == (1,) * 15
    with pytest.raises(ValueError, match="x has 16 dimensions; allowed are at most 15"):
        Identity().encode(np.ones((1,) * 16))


def test_there_is_no_pickle() -> None:
    """Neither imported nor let in through NumPy or torch, in any Python file of the project."""
    folders = ("paper_code", "tests", "fuzz", "scripts", "benchmarks", "examples")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 20
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            names += [str(getattr(node, "module", ""))]
            assert not PICKLES & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                refused = ast.unparse(node.value) == "False"
                assert refused or path.name == "test_command_line.py", path  # it makes a bad file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(node), path  # tensors, no objects
