"""What `examples/federated/run.py` says of bad values, and of Flower that is not there."""

import runpy
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

RUN = Path(__file__).parents[2] / "examples" / "federated" / "run.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Its functions, in a world with the right Flower, of which nothing can be imported."""
    monkeypatch.setitem(sys.modules, "flwr", None)
    names = runpy.run_path(str(RUN))
    settings = names["settings"].__globals__
    monkeypatch.setitem(settings, "version", lambda name: "1.27.3")
    return SimpleNamespace(**names, globals=settings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--alpha 2", "--alpha is 2.0; allowed are 1e-9 <= alpha < 1"),
        ("--alpha nan", "--alpha is nan; allowed"),
        ("--clients 0", "--clients is 0; allowed are 1 and more"),
        ("--rounds 0", "--rounds is 0; allowed are 1 and more"),
        ("--epochs -1", "--epochs is -1; allowed are 1 and more"),
        ("--timeout 0", "--timeout is 0.0; allowed are positive, finite seconds"),
        ("--timeout inf", "--timeout is inf; allowed"),
        ("--killed 9", "--killed is 9; allowed are -1 (nobody) to 3, the clients' numbers"),
        ("--clients 2 --damaged 2", "--damaged is 2; allowed are -1 (nobody) to 1"),
        ("--damaged -2", "--damaged is -2; allowed"),
    ],
)
def test_values_are_checked(
    script: SimpleNamespace,
    options: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", *options.split()])
    with pytest.raises(SystemExit) as end:
        script.settings()
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_the_values_that_are_allowed_are(
    script: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--alpha 1e-9 --clients 1 --rounds 1 --epochs 1 --timeout .1 --damaged 0 --killed -1"
    monkeypatch.setattr(sys, "argv", ["run.py", *options.split()])
    assert vars(script.settings())["alpha"] == 1e-9


def test_without_flower_there_is_help_and_one_line(
    script: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setitem(script.globals, "version", missing)
    for options, code in ([["--help"], 0], [[], 2]):
        monkeypatch.setattr(sys, "argv", ["run.py", *options])
        with pytest.raises(SystemExit) as end:
            script.settings()
        assert end.value.code == code
    out, err = capsys.readouterr()
    assert "--compressor" in out
    assert "flwr 1.27.* is needed, but nothing is installed; see README.md" in err


@pytest.mark.parametrize(("frame_bytes", "fails"), [(0, True), (1, False)])
def test_a_run_without_any_frame_fails(
    script: SimpleNamespace, frame_bytes: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(script.globals, "run", lambda *_: {"frame_bytes": frame_bytes})
    monkeypatch.setattr(script.globals["signal"], "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["run.py", "--compressor", "sd", "--rounds", "3"])
    if fails:
        with pytest.raises(SystemExit, match="sd: no frames came in 3 rounds"):
            script.main()
    else:
        script.main()
