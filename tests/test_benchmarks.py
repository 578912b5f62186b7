"""The benchmark knows every public compressor, counts its peers' bits, and says what is missing."""

import builtins
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
import paper_code
from benchmarks import bits, clock, inputs, peers, pictures, rivals, run, schemes
from paper_code.companion import figures
from paper_code.compressors.registry import CLASSES
from paper_code.evaluation.measure import distortion


def test_every_public_compressor_is_timed_and_has_a_look() -> None:
    found = schemes.ours(1000, np.random.default_rng(0))
    names = {scheme.name.partition("(")[0] for scheme in found}
    assert names == {kind.__name__ for kind in CLASSES}
    labels = [scheme.look.label for scheme in found]
    assert len(set(labels)) == len(labels)
    assert sum(scheme.name.startswith("SparseDithering(") for scheme in found) == 4


@pytest.mark.parametrize("kind", inputs.KINDS)
def test_vectors_have_unit_power_and_come_again(kind: str) -> None:
    x = inputs.draw(kind, 3000)
    assert x.dtype == np.float32 and x.shape == (3000,)
    assert np.mean(x.astype(np.float64) ** 2) == pytest.approx(1, rel=1e-6)
    assert np.array_equal(x, inputs.draw(kind, 3000))


def test_gradient_is_that_of_the_loss() -> None:
    """Against differences of the loss in float64, whose own error is of order 1e-9."""
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal(shape) for shape in ((5, 4), (4, 4), (4, 3))]
    x, labels = rng.standard_normal((6, 5)), rng.integers(3, size=6)

    def loss() -> float:
        scores = np.maximum(np.maximum(x @ layers[0], 0) @ layers[1], 0) @ layers[2]
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(6), labels])

    for layer, grad in zip(layers, inputs._gradients(layers, x, labels), strict=True):
        for place in ((0, 0), (3, 2)):
            kept, values = layer[place], []
            for step in (1e-6, -1e-6):
                layer[place] = kept + step
                values.append(loss())
            layer[place] = kept
            assert (values[0] - values[1]) / 2e-6 == pytest.approx(grad[place], abs=1e-7)


def test_the_fifteen_lines_round_and_count_their_bits() -> None:
    x = inputs.draw("Gaussian", 100_000)
    peer = peers.fifteen_lines(1.1, peers.REFERENCE)
    packet = peer.encode(x)
    assert np.allclose(peer.decode(packet), 1.1 * np.rint(x / 1.1), rtol=0, atol=1e-6)
    assert 1.95 < peer.bits(packet) / x.size < 2.05
    # errors nearly uniform within half a step: squares of mean step^2 / 12, deviation 0.09 / sqrt d
    assert distortion(x, peer.decode(packet)) == pytest.approx(1.1**2 / 12, abs=0.0015)


@pytest.mark.parametrize("d", (1, 7, 60))
def test_the_least_top_k_is_that_of_trying_every_k(d: int) -> None:
    rng = np.random.default_rng(d)
    for alpha in rng.uniform(0.1, 0.95, 20):
        x = rng.standard_t(1.5, d).astype(np.float32)
        magnitudes, wanted = np.sort(np.abs(x.astype(float)))[::-1], (1 - alpha) * x @ x
        found = bits.least_top_k(x, alpha)
        for value_bits in (1, 2):
            for k in range(1, d + 1):
                splits = range(1, k) if value_bits == 2 else ()
                parts = [(magnitudes[:k],), *((magnitudes[:j], magnitudes[j:k]) for j in splits)]
                if max(sum(p.sum() ** 2 / p.size for p in both) for both in parts) >= wanted:
                    least = math.log2(math.comb(d, k)) + value_bits * (k + 31)
                    assert found[f"top-k, {value_bits} bit"] == pytest.approx(least)
                    break
            else:
                assert f"top-k, {value_bits} bit" not in found


def test_a_peer_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_zfp(name: str, *rest: object, **more: object) -> object:
        if name == "zfpy":
            raise ImportError("No module named 'zfpy'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_zfp)
    found, missing = peers.available()
    assert "zfpy: No module named 'zfpy'" in missing
    assert peers.REFERENCE in {scheme.name for scheme in found}


def test_ours_keep_the_error_that_a_rival_reached() -> None:
    x = inputs.draw("Gaussian", 20_000)
    fifteen = rivals.Local(peers.fifteen_lines(1.1, peers.REFERENCE))
    peer, *ours = rivals.compare("normal", x, [fifteen], 1)
    assert peer["error"] == pytest.approx(distortion(x, fifteen.once(x).held))
    assert {row["scheme"].partition("(")[0] for row in ours} == {
        "TrellisCompression",
        "EntropyCodedSparseDithering",
    }
    for row in ours:
        assert row["error"] <= peer["error"] * (1 + 1e-6) and row["bits"] < peer["bits"]
        assert row["gap"] == pytest.approx(row["bits"] + 0.5 * math.log2(row["error"]))


def test_nncodec_answers_from_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a package of its name that casts to float16, and prints, which is no answer."""
    (tmp_path / "nncodec").mkdir()
    (tmp_path / "nncodec" / "nnc.py").write_text(
        "import torchmetrics, numpy\n"
        "def compress(named, qp, use_dq, param_opt, return_bitstream, bitstream_path):\n"
        "    print('encoding', qp)\n"
        "    return named['x'].astype(numpy.float16).tobytes()\n"
        "def decompress(data):\n"
        "    return {'x': numpy.frombuffer(data, numpy.float16).astype(numpy.float32)}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    codec = rivals.NNCodec(Path(sys.executable))
    for d in (1000, 2048):
        x = inputs.draw("Gaussian", d)
        seen = codec.settings()[0].once(x)
        assert np.array_equal(seen.held, x.astype(np.float16).astype(np.float32))
        assert seen.bits == 16 * d and seen.encode > 0 and seen.decode > 0
    codec.close()


def test_readme_says_what_was_measured_beside_nncodec() -> None:
    root = Path(__file__).parent.parent
    measured = json.loads((root / rivals.PATH).read_text("utf-8"))["rivals"]
    readme = (root / "README.md").read_text("utf-8")
    assert rivals.with_table(readme, measured) == readme


def test_one_cell_of_the_benchmark() -> None:
    rows = run.cell("Gaussian", 300, 2, [peers.fifteen_lines(1.1, peers.REFERENCE)])
    of = {row["scheme"]: row for row in rows}
    assert "2**" in of["SphericalCompression(alpha=0.1, unbiased=False)"]["refused"]
    own = of["SparseDithering(nu=0.1, unbiased=False, positions='subset')"]
    assert own["rounds"] == 2 and own["encode"] > 0 and own["error"] <= 0.1
    assert own["gap"] == pytest.approx(own["bits"] + 0.5 * np.log2(own["error"]))
    assert of[peers.REFERENCE]["encode_ratio"] == of[peers.REFERENCE]["decode_ratio"] == 1
    read = json.loads(run.text({"missing": [], "cells": rows}))
    assert read["cells"][0]["scheme"] == rows[0]["scheme"]


@pytest.mark.parametrize("size", [1 << 20, 1 << 22])
def test_peak_memory_sees_what_a_call_holds(size: int) -> None:
    def holding(count: int) -> Callable[[], object]:
        return lambda: np.zeros(count, np.uint8).copy()  # two arrays at once

    assert clock.peak_memory(holding(size)) == pytest.approx(2 * size, abs=4096)


@pytest.mark.parametrize("positions", ["subset", "bitmap"])
@pytest.mark.parametrize("kind", ["Gaussian", "Student-t(3)", "1 % sparse"])
def test_sparse_dithering_needs_at_most_twice_the_input(kind: str, positions: str) -> None:
    scheme = schemes.scheme(paper_code.SparseDithering(0.1, positions=positions))
    row = clock.properties(scheme, inputs.draw(kind, 1 << 19))
    assert max(row["encode_memory"], row["decode_memory"]) <= 2


def test_labels_meet_no_marker_and_no_other_label() -> None:
    """On 20 points where labels of equal size beside each would meet again and again."""
    figure, ax = figures.new(8.4, 5.6)
    for i, (x, y) in enumerate(np.random.default_rng(0).uniform(size=(20, 2))):
        ax.plot([x - 0.01, x + 0.01], [y, y])
        ax.plot(x, y, "o", label=f"compressor {i}")
    ax.set(xlim=(-0.4, 1.4), ylim=(-0.1, 1.1))
    labels = pictures.label_points(ax)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels]
    drawn = [line.get_window_extent() for line in ax.get_lines()]
    assert [label.get_text() for label in labels] == [f"compressor {i}" for i in range(20)]
    for i, box in enumerate(boxes):
        assert not box.count_overlaps([*drawn, *boxes[:i]])
        assert ax.bbox.contains(*box.min) and ax.bbox.contains(*box.max)
