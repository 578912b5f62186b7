"""Notebook 02: darts at caps, and the bounds against distortion and against dimension."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_code.bounds import Band
from paper_code.companion import figures
from paper_code.companion.figures import look
from paper_code.evaluation.measure import Mean

Array = NDArray[np.float64]

SHADES = ("#b8a9d9", "#8d75bd", "#63439c", "#34125f")  # light to dark as d grows
LOWER, UPPER, BETWEEN = "#34125f", "#b0413e", "#e7e0f3"


def darts(
    lengths: Array,
    cut: Mapping[int, tuple[Array, float]],
    best: float,
    sizes: NDArray[np.integer],
    series: Array,
    chance: Array,
) -> Figure:
    """Left: share served by a vector of each length, by d. Right: off P, as the darts grow."""
    figure, (left, right) = figures.new(10, 4, columns=2)
    order = np.argsort(lengths)
    for (d, (shares, p)), color in zip(cut.items(), SHADES, strict=True):
        seen = np.where(shares > 0, shares, np.nan)[order]
        left.plot(lengths[order], seen, ".-", color=color, linewidth=1)
        left.plot(best, p, "D", color=color, markeredgecolor="black", markersize=7, zorder=5)
        beside = lengths[18], shares[18]
        left.annotate(f"d = {d}", beside, (0, 5), textcoords="offset points", color=color)
    left.axvline(best, **figures.BOUND)
    left.annotate(
        f"√(1 − α) = {best:.3f}\n◆ P(α, d)",
        (best, 0.011),
        (8, 0),
        textcoords="offset points",
        va="bottom",
        xycoords=left.get_xaxis_transform(),
    )
    left.set(xlabel="length r of the received vector", yscale="log", ylim=(1e-4, 0.6))
    left.set(ylabel="share of directions that it serves", title="One length serves the most")
    _funnel(right, sizes, series, chance)
    return figure


def _funnel(axes: Axes, sizes: NDArray[np.integer], series: Array, chance: Array) -> None:
    axes.plot(sizes, series[:60].T, color="#999999", linewidth=0.5, alpha=0.6)
    axes.plot(sizes, series.std(axis=0), "o", color=SHADES[2], markersize=8)
    axes.plot(sizes, chance, **figures.BOUND)
    axes.plot(sizes, -chance, **figures.BOUND)
    axes.annotate(
        "spread of 1000 series (●)\nand what chance gives (dashed)",
        (sizes[1], chance[1]),
        (30, 40),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "color": SHADES[2]},
    )
    axes.set(
        xscale="log", xlabel="darts n, at d = 3", title="Four times the darts, half the spread"
    )
    axes.set(ylabel="share counted over P, less 1", ylim=(-1.1, 1.5))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()


def against_distortion(
    alphas: Array, lower: Mapping[int, Array], uncertainty: Array, circle: Array
) -> Figure:
    """Left: -log2 P per coordinate by d. Right: the circle, with its exact bits ``circle``."""
    figure, (left, right) = figures.new(10.5, 4.2, columns=2)
    left.plot(alphas, uncertainty, label="½ log₂(1/α)", **figures.BOUND)
    for (d, rate), color in reversed(list(zip(lower.items(), SHADES, strict=True))):
        left.plot(alphas, rate, color=color, label=f"−log₂ P / d,  d = {d}")
    left.set(xscale="log", ylim=(0, 7), xlabel="distortion α", ylabel="bits per coordinate")
    left.set_title("The norm known: −log₂ P(α, d) per coordinate")
    left.legend(loc="upper right", fontsize="small")
    _circle(right, alphas, circle, 2 * lower[2], 2 * uncertainty)
    return figure


def _circle(axes: Axes, alphas: Array, exact: Array, lower: Array, uncertainty: Array) -> None:
    false = {"where": uncertainty > exact, "color": "#f6dcb4", "linewidth": 0}
    axes.fill_between(alphas, exact, uncertainty, **false)
    axes.plot(alphas, uncertainty, **figures.BOUND)
    axes.plot(alphas, lower, color=SHADES[1])
    axes.plot(alphas, exact, color=UPPER, linewidth=1.2)
    for text, at, color in (
        ("log₂(1/α): above the truth\nin the shaded part, no bound", (4e-4, 11.5), "black"),
        ("exact, log₂ ⌈π/θ⌉", (0.11, 4.1), UPPER),
        ("−log₂ P", (1.2e-3, 5.0), SHADES[1]),
    ):
        axes.text(*at, text, color=color, fontsize="small")
    axes.set(xscale="log", xlabel="distortion α", ylabel="bits of a message", ylim=(0, 14))
    axes.set_title("The circle, d = 2")


def against_dimension(
    alpha: float,
    dims: NDArray[np.integer],
    lower: Array,
    upper: Array,
    band: Band,
    limit: float,
    excess: Mapping[int, Mean],
) -> Figure:
    """Left: bits per coordinate; right: bits of the whole message above -log2 P.

    ``band`` starts at d = 2; ``excess`` has the mean of Spherical Compression's messages by d.
    """
    figure, (left, right) = figures.new(11, 4.4, columns=2)
    left.fill_between(dims, lower / dims, upper / dims, color=BETWEEN, linewidth=0)
    left.plot(dims, upper / dims, color=UPPER, label="_explicit covering")
    left.plot(dims, lower / dims, color=LOWER, label="_−log₂ P")
    left.axhline(limit, **figures.BOUND)
    for text, at, color in (
        ("a code this short exists", (15, 2.3), UPPER),
        ("none is shorter: −log₂ P", (2.6, 1.38), LOWER),
        (f"½ log₂(1/α) = {limit:.3f}", (2000, limit - 0.09), "black"),
    ):
        left.text(*at, text, color=color, fontsize="small")
    left.set(xscale="log", xlabel="dimension d", ylabel="bits per coordinate", ylim=(0.8, 2.7))
    left.set_title(f"The longest message, α = {alpha:g}")
    _above(right, dims, upper - lower, band, lower, excess)
    return figure


def _above(
    axes: Axes,
    dims: NDArray[np.integer],
    covering: Array,
    band: Band,
    lower: Array,
    excess: Mapping[int, Mean],
) -> None:
    from_two = dims[1:]
    low, high = band.low - lower[1:], band.high - lower[1:]
    axes.fill_between(from_two, low, high, color=BETWEEN, linewidth=0)
    edge = {"color": SHADES[1], "linewidth": 1}
    axes.plot(from_two, low, **edge, label="log₂ d")
    axes.plot(from_two, high, **edge, label="+ log₂ log₂ d")
    axes.plot(dims, covering, color=UPPER, label="explicit covering")
    axes.axhline(0, color=LOWER)
    ours = look("spherical")
    means, errors = np.array(list(excess.values())).T
    style = {"fmt": ours.marker, "color": ours.color, "ecolor": "black", "capsize": 2}
    axes.errorbar(list(excess), means, yerr=3 * errors, **style)
    axes.annotate(
        "Spherical Compression,\nmean of real messages",
        (list(excess)[-1], means[-1]),
        (14, -6),
        textcoords="offset points",
        color=ours.color,
        fontsize="small",
    )
    axes.text(1.6e4, 0.5, "−log₂ P: none below", color=LOWER, fontsize="small")
    axes.set(xscale="log", xlabel="dimension d", ylabel="bits above −log₂ P, whole message")
    axes.set(ylim=(-0.8, 26), title="What is left open")
    figures.label_ends(axes)
