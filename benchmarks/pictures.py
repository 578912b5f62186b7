"""Two figures of one run: rate against speed, and time and memory against the dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from paper_code import figures
from paper_code.looks import Look, look

from .clock import Row

PEER = "#8c8c8c"


def rate_speed(rows: Sequence[Row], looks: Mapping[str, Look | None]) -> None:
    """Gap to the bound against encode speed, of the paper's schemes, their successors and peers."""
    figure, ax = figures.new(8.4, 5.6)
    for row in rows:
        if row.get("gap") is not None and row["family"] != "known":
            _point(ax, row, looks.get(row["scheme"]))
    ax.set(xscale="log", yscale="log", xlabel="encoding, MB/s of float32, one thread")
    fastest = max(row["encode"] for row in rows if row["family"] == "peer")
    ax.set_xlim(right=12 * fastest)  # room for the labels: beside the axes they would squeeze them
    ax.set_ylim(top=12)
    ax.set_ylabel("bits per coordinate above ½ log₂(1/error)")
    count = f"{rows[0]['d']:,}".replace(",", "\N{THIN SPACE}")
    ax.set_title(f"{rows[0]['kind']} vector, d = {count}")
    figures.label_ends(ax)
    figures.save(figure, "bench_rate_speed")


def _point(ax: Axes, row: Row, own: Look | None) -> None:
    color, marker = (own.color, own.marker) if own else (PEER, "o")
    label = own.label if own else row["scheme"]
    ax.errorbar(row["encode"], row["gap"], xerr=_spread(row), color=color, linewidth=1)
    ax.plot(row["encode"], row["gap"], marker, color=color, markersize=7, label=label, zorder=5)


def _spread(row: Row) -> list[list[float]]:
    low, high = row["encode_quartiles"]
    return [[row["encode"] - low], [high - row["encode"]]]


def linear(rows: Sequence[Row]) -> None:
    """Sparse Dithering: nanoseconds a coordinate and memory over input stay as d grows."""
    figure, axes = figures.new(9.0, 3.8, columns=2)
    color, marker = look("biased_sd").color, look("biased_sd").marker
    for positions, style in (("subset", "-"), ("bitmap", "--")):
        of = [row for row in rows if row["positions"] == positions]
        for name, face in (("encode", color), ("decode", "white")):
            drawn = {"color": color, "linestyle": style, "marker": marker, "markerfacecolor": face}
            for ax, unit in zip(axes, ("ns", "memory"), strict=True):
                points = [(row["d"], row[f"{name}_{unit}"]) for row in of]
                ax.plot(*zip(*points, strict=True), label=f"{name}, {positions}", **drawn)
    axes[1].axhline(2, **figures.BOUND)
    axes[0].set(ylabel="ns a coordinate, one thread", ylim=(0, None))
    axes[1].set(ylabel="extra memory / input, result included", ylim=(0, 2.3))
    for ax in axes:
        ax.set(xscale="log", xlabel="coordinates d")
        ax.set_xticks(10.0 ** np.arange(4, 9))
        figures.label_ends(ax)
    figures.save(figure, "bench_linear")
