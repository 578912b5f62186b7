"""Notebook 05: compressors on the plane of bits per coordinate and distortion, and their gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paper_code import bounds
from paper_code.companion import figures
from paper_code.companion.figures import Look, look
from paper_code.evaluation.rate_distortion import Point

Family = Mapping[str, Sequence[Point]]  # by a name of LOOKS, one point for each setting

WIDEST = 6.2  # bits per coordinate that are drawn
BELOW = "#f3f3f3"
# Three compressors send one bit a coordinate: nested markers show where they coincide.
SIZES = {look("scaled_sign").label: 12, look("drive").label: 9, look("eden").label: 5.5}
KINDS = ("o", "s", "D", "v")


def label(name: str, note: str = "") -> str:
    """The name that figures show, and what is to be told beside it."""
    return ", ".join(filter(None, (look(name).label, note)))


def landscape(d: int, measured: Family, promises: Family, notes: Mapping[str, str]) -> Figure:
    """Means over uniform directions; thinly tied to each, what is promised for every vector.

    ``notes`` follow the names of families.
    """
    figure, axes = figures.new(9, 6.4)
    lines = plane(axes, d, measured, lowest=3e-3)
    for line, (name, points) in zip(lines, measured.items(), strict=True):
        line.set_label(label(name, notes.get(name, "")))
        _promises(axes, look(name), promises[name], points)
    single = [line for line in lines if len(line.get_xdata()) == 1 and line.get_xdata() < WIDEST]
    keys = [
        Line2D([], [], color="black", marker="o", linewidth=0, label="measured mean"),
        Line2D([], [], color="black", marker="o", linewidth=0, label="promised", mfc="white"),
    ]
    axes.legend(handles=keys + single, loc="lower left", fontsize="small")
    says = f"dashed: −log₂ P(α, {d}) / {d},\nno code's mean is below"
    axes.text(0.12, 0.032, says, fontsize="small", va="bottom")
    axes.set_title(f"Uniformly random directions, d = {d}")
    figures.label_ends(axes, [line for line in lines if len(line.get_xdata()) > 1])
    return figure


def by_kind(d: int, measured: Mapping[str, Family], singles: Mapping[str, Point]) -> Figure:
    """A plane for each of three kinds of vectors; ``singles`` are single vectors, on the last."""
    figure, axes = figures.new(10, 8.4, rows=2, columns=2)
    lowest = 1e-4
    for panel, (kind, families) in zip(axes.flat, measured.items(), strict=False):
        lines = plane(panel, d, families, lowest=lowest)
        panel.set_title(kind[0].upper() + kind[1:])
    for says, point in singles.items():
        at = point.rate.value, max(point.distortion.value, lowest)
        panel.plot(*at, "*", color="black", markersize=14, clip_on=False, zorder=5)
        style = {"arrowprops": {"arrowstyle": "-", "linewidth": 0.7}, "fontsize": "small"}
        panel.annotate(says, at, (24, 18), textcoords="offset points", **style)
    key = axes.flat[3]
    key.axis("off")
    shown = [line for line in lines if line.get_xdata()[0] <= WIDEST]
    key.legend(handles=shown, loc="upper left", title="Measured means, 3 standard errors")
    says = "dashed: the bound for uniform directions\non the lower edge: less error, or none"
    key.text(0.03, 0.02, says, transform=key.transAxes, fontsize="small")
    return figure


def plane(axes: Axes, d: int, measured: Family, *, lowest: float) -> list[Line2D]:
    """The bound at d coordinates, and every family as a line through its settings.

    Bars are 3 standard errors, where the marker does not hide them. A distortion below ``lowest``,
    or none, is drawn on the lower edge; what takes more than ``WIDEST`` bits is told in words.
    """
    alpha = np.geomspace(lowest / 2, 0.9999, 300)
    least = bounds.average_case_bits(alpha, d) / d
    axes.fill_betweenx(alpha, 0, least, color=BELOW, linewidth=0)
    axes.plot(least, alpha, **figures.BOUND)
    axes.set(yscale="log", xlim=(0, WIDEST), ylim=(lowest, 1.25))
    axes.set(xlabel="bits per coordinate", ylabel="distortion")
    return [_family(axes, look(name), points, lowest) for name, points in measured.items()]


def _family(axes: Axes, shown: Look, points: Sequence[Point], lowest: float) -> Line2D:
    points = sorted(points, key=lambda point: point.rate.value)
    (x, dx), (y, dy) = np.array(points).transpose(1, 2, 0)
    if x[0] > WIDEST:
        says = f"{shown.label.replace(' ', chr(10))},\n{x[0]:.3g} bits →"
        style = {"color": shown.color, "fontsize": "small", "ha": "right"}
        axes.annotate(says, (WIDEST, y[0]), (0, 10), textcoords="offset points", **style)
    alone = len(points) == 1
    size = SIZES.get(shown.label, 8) if alone else 7
    style = {"color": shown.color, "markersize": size, "clip_on": x[0] > WIDEST, "zorder": 3}
    line = Line2D(x, np.maximum(y, lowest), marker=shown.marker, label=shown.label, **style)
    line.set_linewidth(0 if alone else 1.2)
    axes.add_line(line)
    bars = {"fmt": "none", "ecolor": "black", "elinewidth": 1, "zorder": 2.9}
    axes.errorbar(x, np.maximum(y, lowest), 3 * dy * (y >= lowest), 3 * dx, **bars)
    return line


def _promises(axes: Axes, shown: Look, promises: Sequence[Point], seen: Sequence[Point]) -> None:
    for promise, point in zip(promises, seen, strict=True):
        if promise.rate.value <= WIDEST:
            x, y = np.array([promise, point])[:, :, 0].T
            axes.plot(x, y, color=shown.color, linewidth=0.6, alpha=0.5, zorder=2)
            style = {"color": shown.color, "markerfacecolor": "white", "markersize": 6}
            axes.plot(x[0], y[0], shown.marker, zorder=2.5, clip_on=False, **style)


def gaps(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """``rows``: compressors by what the axis shall say, each with its gaps by kind of vectors.

    A kind has its lane in every row; "promised" is hollow.
    """
    figure, axes = figures.new(9, 0.5 * len(rows) + 1)
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    lanes = np.linspace(-0.3, 0.3, len(kinds))
    markers = dict(zip([kind for kind in kinds if kind != "promised"], KINDS, strict=False))
    shades = np.linspace(0, 0.65, len(markers))
    for kind, lane in zip(kinds, lanes, strict=True):
        x, y = np.array([(row[kind], at) for at, row in enumerate(rows.values()) if kind in row]).T
        hollow = {"marker": "o", "color": "black", "mfc": "white"}
        filled = {"marker": markers.get(kind), "color": str(shades[len(axes.lines) % len(shades)])}
        style = hollow if kind == "promised" else filled
        axes.plot(x, y + lane, linewidth=0, markersize=6.5, label=kind, **style)
    for at in range(1, len(rows)):
        axes.axhline(at - 0.5, color="#e6e6e6", linewidth=0.8, zorder=0)
    axes.axvline(0, **figures.BOUND)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("bits per coordinate above the bound at the same distortion")
    axes.legend(loc="lower left", fontsize="small", frameon=True, framealpha=1, edgecolor="white")
    return figure
