"""Notebook 01: a gradient, what was received of it, and where the bits went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_code.companion import figures
from paper_code.companion.figures import look

SHADES = ("#003f66", "#2171b5", "#56b4e9", "#9fd0f0", "#d3e9f8")


def one_message(
    x: NDArray[np.floating],
    received: NDArray[np.floating],
    step: float,
    parts: Mapping[str, int],
    most: float,
    least: float,
) -> Figure:
    """Left: ``x`` and ``received`` on the grid of levels. Right: bits by part, between bounds."""
    figure, (left, right) = figures.new(10, 3.8, columns=2)
    _vectors(left, x, received, step)
    _bits(right, parts, most, least, 32 * x.size)
    return figure


def _vectors(
    axes: Axes, x: NDArray[np.floating], received: NDArray[np.floating], step: float
) -> None:
    places = np.arange(x.size)
    ours = look("biased_sd")
    axes.vlines(places, x, received, color="#888888", linewidth=1)
    axes.plot(places, x, "o", color=look("basic").color, label="gradient x")
    axes.plot(places, received, ours.marker, color=ours.color, markersize=7, label="received C(x)")
    highest = int(np.ceil(np.max(np.abs(x)) / step))
    axes.set_yticks(step * np.arange(-highest, highest + 1))
    axes.set_yticklabels([f"{k}γ" if k else "0" for k in range(-highest, highest + 1)])
    axes.set(xlabel="coordinate i", ylabel="value, in steps γ", title="Every value to a level")
    axes.legend(loc="best", fontsize="small")


def _bits(axes: Axes, parts: Mapping[str, int], most: float, least: float, plain: int) -> None:
    start = 0
    for (name, size), shade in zip(parts.items(), SHADES, strict=True):
        axes.barh(1, size, left=start, color=shade, edgecolor="white")
        where, side = (1.48, "bottom") if len(axes.texts) % 2 else (0.52, "top")
        axes.text(start + size / 2, where, f"{name}\n{size}", ha="center", va=side, fontsize=8)
        start += size
    axes.barh(3, plain, color=look("basic").color)
    axes.annotate(
        "→ out of scale",
        (1.6 * most, 3),
        (-6, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color="white",
        fontsize=8,
    )
    for bits, says, align, shift in (
        (least, f"no scheme\nbelow {least:.1f}", "right", -5),
        (most, f"this scheme\nat most {most:.1f}", "left", 5),
    ):
        axes.plot([bits, bits], [0, 2.1], **figures.BOUND)
        axes.annotate(says, (bits, 2), (shift, 0), textcoords="offset points", ha=align, fontsize=8)
    axes.set_yticks([1, 3], [f"this message\n{start} bits", f"float32\n{plain} bits"])
    axes.set(xlabel="bits of payload", ylim=(-0.1, 3.6), title="Where the bits go")
    axes.set_xlim(0, 1.6 * most)  # the float32 bar runs out of the picture
    axes.grid(visible=False, axis="y")
