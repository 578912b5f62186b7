"""Notebook 03: the rate as a function of the share of zeros, and promises beside what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from paper_code import bounds
from paper_code.companion import figures
from paper_code.companion.figures import look
from paper_code.evaluation.measure import Measurement

MARKERS = "osDvP*X^<>"


def rate_by_zeros(nu: float, d: int, spent: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """The bound over tau, its peak, the lower bound; ``spent`` holds (tau, rate) points by kind."""
    figure, axes = figures.new(8, 4.6)
    share = np.linspace(0, 1, 1001)[1:-1]
    fixed = 30 + np.log2(d)
    rate = (bounds.sparse_dithering_bits_at(nu, d, share) - fixed) / d
    axes.plot(share, rate, color=look("biased_sd").color, label="_bound at this share")
    peak = bounds.sparse_dithering_worst_zero_share(nu), bounds.sparse_dithering_rate(nu)
    axes.plot(*peak, "o", color=look("biased_sd").color)
    axes.annotate(
        f"β = {peak[1]:.4f} at τ* = {peak[0]:.4f}", peak, (8, 6), textcoords="offset points"
    )
    lowest = bounds.uncertainty_bits(nu, 1)
    axes.axhline(lowest, **figures.BOUND)
    axes.annotate(
        f"no scheme below {lowest:.3f} for all x",
        (0.02, lowest),
        (0, 5),
        textcoords="offset points",
    )
    grey = np.linspace(0.15, 0.65, len(spent))
    for (kind, points), marker, shade in zip(spent.items(), MARKERS, grey, strict=False):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, marker, color=str(shade), label=kind, markersize=7 if len(x) == 1 else 5)
    axes.legend(title="counted in messages", fontsize="small", loc="lower center", ncols=2)
    axes.set(xlabel="τ, share of coordinates rounded to zero", xlim=(-0.02, 1.02), ylim=(0, 3.8))
    axes.set_ylabel("bits per coordinate beyond 30 + log₂ d")
    axes.set_title(f"Sparse Dithering, ν = {nu:g}, d = {d}")
    return figure


def promises(measured: Mapping[str, Measurement], omega: float, promised_bits: float) -> Figure:
    """Mean variance and mean bits by kind of vector, each beside what is promised."""
    figure, (left, right) = figures.new(10, 3.6, columns=2)
    ours = look("unbiased_sd")
    places = np.arange(len(measured))
    for axes, means, promise in (
        (left, [m.distortion for m in measured.values()], omega),
        (right, [m.bits for m in measured.values()], promised_bits),
    ):
        values, errors = np.array(means).T
        axes.errorbar(
            values,
            places,
            xerr=3 * errors,
            fmt=ours.marker,
            color=ours.color,
            ecolor="black",
            capsize=3,
            markersize=8,
        )
        axes.axvline(promise, **figures.BOUND)
        axes.annotate(
            f"promised ≤ {promise:.4g}",
            (promise, len(measured) - 0.6),
            (-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )
        axes.set(ylim=(-0.5, len(measured) - 0.3), xlim=(0, 1.08 * promise))
        axes.set_yticks(places, list(measured))
    right.set_yticklabels([])
    left.set(xlabel="mean of ‖C(x) − x‖² / ‖x‖²  (bar: 3 standard errors)", title="Variance")
    right.set(xlabel="mean bits of a message", title="Bits")
    return figure
