"""Two figures of one run: rate against speed, and time and memory against the dimension.

python -m benchmarks.pictures draws them again from benchmarks/results/bench.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from paper_code import SparseDithering
from paper_code.companion import figures, files
from paper_code.compressors.contract import Look

from . import schemes
from .clock import Row

PEER = "#8c8c8c"
MIDDLE = 1 << 20  # d of the first figure, or the largest below it that there is

_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_PLACES = [(r * right, r * up) for r in range(9, 150, 6) for right, up in _AROUND]  # in points


def draw(report: Mapping[str, Any]) -> None:
    """Both figures of what ``benchmarks.run`` found."""
    d = max(row["d"] for row in report["cells"] if row["d"] <= MIDDLE)
    looks = {scheme.name: scheme.look for scheme in schemes.ours(d, np.random.default_rng(1))}
    rows = [row for row in report["cells"] if (row["kind"], row["d"]) == ("Gaussian", d)]
    rate_speed(rows, looks)
    linear(report["linear"])


def rate_speed(rows: Sequence[Row], looks: Mapping[str, Look | None]) -> None:
    """Gap to the bound against encode speed, of the paper's schemes, their successors and peers."""
    figure, ax = figures.new(9.6, 7.2)
    for row in rows:
        if row.get("gap") is not None and row["family"] != "known":
            _point(ax, row, looks.get(row["scheme"]))
    ax.set(xscale="log", yscale="log", xlabel="encoding, MB/s of float32, one thread")
    left, right = ax.get_xlim()
    ax.set_xlim(left / 4, 4 * right)  # room for the labels
    ax.set_ylim(top=12)
    ax.set_ylabel("bits per coordinate above ½ log₂(1/error)")
    count = f"{rows[0]['d']:,}".replace(",", "\N{THIN SPACE}")
    ax.set_title(f"{rows[0]['kind']} vector, d = {count}; grey: packages that can be installed")
    label_points(ax)
    figures.write(figure, files.output_dir() / "figures", "bench_rate_speed")


def _point(ax: Axes, row: Row, own: Look | None) -> None:
    color, marker = (own.color, own.marker) if own else (PEER, "o")
    label = own.label if own else row["scheme"]
    ax.plot(row["encode_quartiles"], [row["gap"]] * 2, color=color, linewidth=1)
    ax.plot(row["encode"], row["gap"], marker, color=color, markersize=7, label=label, zorder=5)


def label_points(ax: Axes) -> list[Annotation]:
    """Write the label of each point of ``ax`` in its colour, at the nearest place that is free.

    Free is where it meets no marker, no bar and no other label, nor does the line that leads to
    it; where nothing is, it meets as few as can be. Call it last: scales and limits must stand.
    """
    ax.figure.draw_without_rendering()
    points = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    taken = [line.get_window_extent() for line in ax.get_lines()]
    labels = []
    for point in points:
        style = {"color": point.get_color(), "textcoords": "offset points"}
        halo = {"fontsize": "small", "path_effects": figures.HALO}
        xy = point.get_xydata()[0]
        label = ax.annotate(point.get_label(), xy, (0, 0), **style, **halo)
        label.set_in_layout(False)  # the layout stands
        _move(label, min(_PLACES, key=partial(_met, label, taken)))
        taken.append(label.get_window_extent())
        leader = {"arrowstyle": "-", "color": point.get_color(), "linewidth": 0.7}
        ax.annotate("", xy, label.get_position(), arrowprops=leader, **style)
        labels.append(label)
    return labels


def _met(label: Annotation, taken: Sequence[Bbox], place: tuple[int, int]) -> int:
    """How many of ``taken`` a label and its leader meet at ``place``; many outside the axes.

    To be written over costs a label more than to be crossed by a line.
    """
    _move(label, place)
    box, axes = label.get_window_extent(), label.axes.get_window_extent()
    if not (axes.contains(*box.min) and axes.contains(*box.max)):
        return 1000
    point = label.axes.transData.transform(label.xy)
    leader = Path([point, label.get_transform().transform(place)])
    others = [other for other in taken if not other.contains(*point)]
    crossed = sum(leader.intersects_bbox(other, filled=False) for other in others)
    return 10 * box.count_overlaps(taken) + crossed


def _move(label: Annotation, place: tuple[int, int]) -> None:
    label.set_position(place)
    label.set_ha(("center", "left", "right")[np.sign(place[0])])
    label.set_va(("center", "bottom", "top")[np.sign(place[1])])


def linear(rows: Sequence[Row]) -> None:
    """Sparse Dithering: nanoseconds a coordinate and memory over input stay as d grows."""
    figure, axes = figures.new(9.0, 3.8, columns=2)
    _, color, marker = SparseDithering(0.1).look
    for positions, style in (("subset", "-"), ("bitmap", "--")):
        of = [row for row in rows if row["positions"] == positions]
        for name, face in (("encode", color), ("decode", "white")):
            drawn = {"color": color, "linestyle": style, "marker": marker, "markerfacecolor": face}
            for ax, unit in zip(axes, ("ns", "memory"), strict=True):
                points = [(row["d"], row[f"{name}_{unit}"]) for row in of]
                ax.plot(*zip(*points, strict=True), label=f"{name}, {positions}", **drawn)
    axes[1].axhline(2, **figures.BOUND)
    axes[1].text(1e4, 2.05, "the limit that the tests hold every compressor to", fontsize="small")
    axes[0].set(ylabel="ns a coordinate, one thread", ylim=(0, None))
    axes[1].set(ylabel="extra memory / input, result included", ylim=(0, 2.4))
    axes[0].set_title("Sparse Dithering, ν = 0.1: time")
    axes[1].set_title("Memory")
    for ax in axes:
        ax.set(xscale="log", xlabel="coordinates d")
        ax.set_xticks(10.0 ** np.arange(4, 9))
        figures.label_ends(ax)
    figures.write(figure, files.output_dir() / "figures", "bench_linear")


if __name__ == "__main__":
    results = files.ROOT / "benchmarks" / "results" / "bench.json"
    draw(json.loads(results.read_text("utf-8")))
