"""Links that are really slow: they keep their rate, go away, and the benchmark runs over them.

Skipped, with the reason, where this machine has no network namespaces to give.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks import network, slow_links
from paper_code.companion import files

ROOT = Path(__file__).parents[1]
REASON = slow_links.why_not()
needs_links = pytest.mark.skipif(REASON is not None, reason=f"no slow links: {REASON}")

RECEIVE = """
import socket
with socket.create_server(("", 5000)) as server:
    print("ready", flush=True)
    with server.accept()[0] as link:
        while link.recv(1 << 16):
            pass
        link.sendall(b"all of it")
"""
SEND = """
import socket, sys, time
sys.path.insert(0, ".")
from benchmarks import slow_links
with socket.create_connection((sys.argv[1], 5000)) as link:
    before, began = slow_links.bytes_sent(), time.monotonic()
    link.sendall(bytes(int(sys.argv[2])))
    link.shutdown(socket.SHUT_WR)
    link.recv(9)
    print(time.monotonic() - began, slow_links.bytes_sent() - before)
"""


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout


@needs_links
def test_a_link_is_not_faster_than_its_rate_and_the_kernel_counts_its_bytes() -> None:
    size, rate = 400_000, 4e6
    with slow_links.network(2) as made:
        made.shape(rate)
        receiver = subprocess.Popen(
            [*made.inside(1), sys.executable, "-c", RECEIVE], stdout=subprocess.PIPE, text=True
        )
        assert receiver.stdout.readline() == "ready\n"
        words = [*made.inside(0), sys.executable, "-c", SEND, made.address(1), str(size)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 0, done.stderr
        receiver.wait(10)
        receiver.stdout.close()
        seconds, sent = map(float, done.stdout.split())
    assert seconds >= 8 * (size - (1 << 15)) / rate  # all but one burst
    assert size < sent < 1.2 * size  # 66 bytes of headers to a packet of 1500, some sent twice


@needs_links
def test_namespaces_go_away_after_an_error_and_after_a_kill() -> None:
    before = namespaces()
    with pytest.raises(KeyError), slow_links.network(2) as made:
        assert made.hub in namespaces()
        raise KeyError
    assert namespaces() == before
    code = (
        "import os, signal; from benchmarks import slow_links\n"
        "with slow_links.network(1): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert namespaces() != before
    with slow_links.network(1):  # removes those of processes that are no more
        pass
    assert namespaces() == before


@needs_links
def test_a_short_run_of_the_benchmark(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.network", "--quick"],
        cwd=ROOT,
        env=os.environ | {files.OUTPUT_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / network.RESULTS).read_text("utf-8"))
    assert not report["left_out"]
    assert report["machine"]["processor"]
    by_name = {run["name"]: run for run in report["runs"]}
    for run in by_name.values():
        assert run["replicas_equal"]
        assert run["curve"][-1][-1] < run["curve"][0][-1]  # the loss fell
        # at 100 Mbit/s a worker cannot have sent its bytes faster, but for a burst a link
        assert run["seconds"] >= 8 * (run["bytes"] - 4 * (1 << 15)) / 100e6
    hook, reference = (by_name[name]["bytes"] for name in network.QUICK)
    assert hook < reference / 5  # whose first two steps are float32's


def measured(name: str, **more: object) -> dict[str, object]:
    """A training as the report has it."""
    run = {"kind": "train", "link": 1e9, "name": name, "start": "scratch", "seed": 0, "target": 0.1}
    return run | more


@needs_links
def test_parts_go_on_from_the_last_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"WARM_STEPS": 2, "WARM_EVALUATE": 1, "TIMELINE_STEPS": 5, "MOST_STEPS": 5}
    short |= {"TIMELINE_ROUNDS": 1}
    names = ("float32", "PowerSGD, rank 4", "float16")
    short |= {"ROUNDS": [("scratch", 0, (1e9,), names)], "COMPRESSED": ("outer, trellis 0.2",)}
    for name, value in (short | {"BATCHES": (2,)}).items():
        monkeypatch.setattr(network, name, value)
    monkeypatch.setenv(files.OUTPUT_VARIABLE, str(tmp_path))
    path = tmp_path / network.RESULTS
    monkeypatch.setattr(sys, "argv", ["network", "--rest"])
    with pytest.raises(FileNotFoundError, match="measure everything first"):
        network.main()
    kept = measured("float32", reached=True, steps=3)
    cut = measured("PowerSGD, rank 4", reached=False, steps=3)
    late = measured("float16", reason="the budget was used up")
    timeline = late | {"kind": "timeline"}
    path.parent.mkdir(parents=True)
    old = {"kind": "timeline", "name": "old", "link": 1e9, "groups": 9}
    known = {
        "runs": [kept, cut, old],
        "left_out": [late, timeline],
        "settings": {"targets": {"scratch": 0.1}},
    }
    path.write_text(json.dumps(known))
    network.main()
    report = json.loads(path.read_text("utf-8"))
    assert report["left_out"] == [timeline]  # of --timelines
    assert [run["name"] for run in report["runs"]] == [
        "float32", "old", network.WARM, "outer, trellis 0.2", "PowerSGD, rank 4", "float16",
    ]  # fmt: skip
    assert report["runs"][0] == kept
    assert all(run["steps"] == 5 and run["replicas_equal"] for run in report["runs"][4:])

    monkeypatch.setattr(sys, "argv", ["network", "--timelines"])
    network.main()
    steps = [run for run in json.loads(path.read_text("utf-8"))["runs"] if "groups" in run]
    assert [run["link"] for run in steps] == [1e9, 1e9, 10e6, 10e6]
    assert [run["groups"] for run in steps] == [1, 2, 1, 2]
    for run in steps:
        assert {what for what, *_ in run["spans"]} >= {"forward", "backward", "pack", "wait"}
        assert all(0 <= begin <= end for *_, begin, end in run["spans"])


def test_without_namespaces_it_says_so_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slow_links, "why_not", lambda: "network namespaces need root")
    monkeypatch.setattr(sys, "argv", ["network", "--quick"])
    with pytest.raises(SystemExit) as end:
        network.main()
    assert str(end.value) == "skipped, nothing was measured: network namespaces need root"
    with pytest.raises(RuntimeError, match="need root"), slow_links.network(2):
        pass
