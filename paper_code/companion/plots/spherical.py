"""Notebook 04: the cap, the law of T, and bits and draws against dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_code import bounds
from paper_code.companion import figures
from paper_code.companion.figures import look
from paper_code.evaluation.measure import Mean

OURS = look("spherical")
SHADES = ("#7fd0b8", "#009e73", "#00543d")


def cap(alpha: float, x: NDArray[np.float64], angles: NDArray[np.float64]) -> Figure:
    """One message in the plane: ``angles`` are the directions drawn, the last one is the hit."""
    figure, axes = figures.new(6.4, 5.2)
    turn = np.linspace(0, 2 * np.pi, 400)
    radius, towards = np.sqrt(1 - alpha), np.arctan2(x[1], x[0])
    axes.plot(np.cos(turn), np.sin(turn), color="black", linewidth=1)
    axes.plot(radius * np.cos(turn), radius * np.sin(turn), color="#999999", linewidth=1)
    arc = towards + np.arcsin(np.sqrt(alpha)) * np.linspace(-1, 1, 50)
    axes.plot(np.cos(arc), np.sin(arc), color=OURS.color, linewidth=5, solid_capstyle="butt")
    centre = radius * np.array([np.cos(angles[-1]), np.sin(angles[-1])])
    ball = centre[:, None] + np.sqrt(alpha) * np.array([np.cos(turn), np.sin(turn)])
    axes.fill(*ball, color=OURS.color, alpha=0.15, linewidth=0)
    axes.plot(*radius * np.array([np.cos(angles), np.sin(angles)]), "o", color=look("basic").color)
    for number, angle in enumerate(angles, start=1):
        axes.text(0.8 * np.cos(angle), 0.8 * np.sin(angle), str(number), ha="center", va="center")
    axes.plot(*centre, OURS.marker, color=OURS.color, markersize=9)
    axes.plot([0, x[0]], [0, x[1]], color="black", linewidth=1)
    axes.plot(*x, "k*", markersize=14)
    axes.annotate("x", x, (8, 6), textcoords="offset points", fontsize=13)
    says = "thick: directions within the cap around x\nshaded: within √α of the vector sent"
    axes.text(1.12, -0.95, says, fontsize="small", va="bottom")
    axes.text(1.12, 0.1, f"directions 1 to {len(angles)} are drawn;\nT = {len(angles)} is sent")
    axes.set(aspect="equal", xlim=(-1.1, 2.6), ylim=(-1.1, 1.3))
    axes.set_title(f"One message in the plane, α = {alpha:g}")
    axes.axis("off")
    return figure


def law(numbers: Mapping[int, Sequence[int]], alpha: float) -> Figure:
    """Share of messages with T > t, against the geometric law, by dimension."""
    figure, axes = figures.new(7.5, 4)
    for (d, values), shade in zip(numbers.items(), SHADES, strict=True):
        p = bounds.cap_probability(alpha, d)
        t = np.sort(values)
        above = 1 - np.arange(1, t.size + 1) / t.size
        axes.step(t[:-1], above[:-1], where="post", color=shade, label=f"d = {d}")
        smooth = np.geomspace(1, 6 / p, 200)
        axes.plot(smooth, np.exp(smooth * np.log1p(-p)), **figures.BOUND)
    axes.set(xscale="log", xlabel="t, directions", ylabel="share of messages with T > t")
    axes.set_title("T is geometric (dashed: the law)")
    axes.legend(loc="lower left")
    return figure


def bits_and_draws(
    alpha: float, dims: Sequence[int], means: Sequence[Mean], draws: Sequence[float]
) -> Figure:
    """Left: mean bits beside the norm, between the bound and the paper's bound + 3. Right: work."""
    figure, (left, right) = figures.new(10, 4, columns=2)
    smooth = np.arange(2, max(dims) + 5)
    least = -bounds.log2_cap_probability(alpha, smooth)
    left.plot(smooth, least, label="−log₂ P", **figures.BOUND)
    left.plot(smooth, least + 3, label="−log₂ P + 3", **figures.BOUND)
    values, errors = np.array(means).T
    left.errorbar(dims, values, yerr=3 * errors, fmt=OURS.marker, color=OURS.color, ecolor="black")
    left.annotate(
        "mean, counted",
        (dims[-1], values[-1]),
        (10, -30),
        textcoords="offset points",
        color=OURS.color,
        arrowprops={"arrowstyle": "-", "color": OURS.color},
    )
    left.set(xlabel="dimension d", ylabel="bits beside the norm's 31", title="Bits")
    figures.label_ends(left)
    right.plot(smooth, 2.0**least, label="1 / P", **figures.BOUND)
    right.plot(dims, draws, OURS.marker, color=OURS.color)
    right.set(xlabel="dimension d", ylabel="directions drawn, mean", yscale="log", title="Work")
    figures.label_ends(right)
    return figure
