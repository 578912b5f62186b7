"""Notebook 09: gaps to the bound, by what is removed, by distortion and by dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from paper_code.companion import figures
from paper_code.companion.figures import look

LARGE = {"color": "#8c3d00", "label": "trellis, 32 states", "marker": "*"}


def descent_to_the_bound(rates: Mapping[str, float], least: float) -> Figure:
    """Bars of bits per coordinate, from what Sparse Dithering promises down to the bound."""
    figure, axes = figures.new(9, 3.8)
    names = list(rates)
    shades = [look("basic").color, *2 * [look("biased_sd").color], look("entropy_coded_sd").color]
    shades += [look("trellis").color] * (len(names) - len(shades))
    axes.barh(names, list(rates.values()), color=shades)
    for place, rate in enumerate(rates.values()):
        says = f" {rate:.3f} bits: {rate - least:.3f} above the bound"
        axes.text(rate, place, says, va="center", fontsize="small")
    axes.axvline(least, **figures.BOUND)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(
        xlabel="bits per coordinate, all bytes of the frame", xlim=(0, 1.45 * max(rates.values()))
    )
    axes.set_title("Where the bits of Sparse Dithering go (dashed: no scheme below)")
    return figure


def _line(axes: Axes, name: str, x: Sequence[float], y: Sequence[float]) -> None:
    shown = LARGE
    if "," not in name:
        shown = {"color": look(name).color, "label": look(name).label, "marker": look(name).marker}
    axes.plot(x[: len(y)], y, **shown)


def gaps_by_alpha(alphas: Sequence[float], gaps: Mapping[str, ArrayLike]) -> Figure:
    """Bits per coordinate above 1/2 log2(1 / alpha)."""
    figure, axes = figures.new(9, 4.2)
    for name, gap in gaps.items():
        _line(axes, name, alphas, gap)
    axes.axhline(0, **figures.BOUND)
    axes.set(xlabel="α, distortion allowed", ylabel="bits per coordinate above ½ log₂ 1/α")
    axes.set(yscale="symlog", ylim=(-0.005, 3))
    axes.set_yscale("symlog", linthresh=0.05)
    axes.set_yticks([0, 0.05, 0.1, 0.25, 0.5, 1, 2], ["0", "0.05", "0.1", "0.25", "0.5", "1", "2"])
    axes.set_title("Gap to the bound on a Gaussian vector (dashed: the bound)")
    figures.label_ends(axes, [line for line in axes.get_lines() if len(line.get_xdata()) > 2])
    return figure


def gaps_by_dimension(
    dims: Sequence[int], spent: Mapping[str, Sequence[float]], alpha: float
) -> Figure:
    """Bits per coordinate of the payload above -log2 P / d; ``best`` as open circles."""
    figure, axes = figures.new(9, 4.4)
    for name, of_name in spent.items():
        if name != "best":
            _line(axes, name, dims, of_name)
    axes.plot(
        dims,
        spent["best"],
        "o",
        markerfacecolor="none",
        markeredgecolor="black",
        markersize=11,
        label="best_compressor(d, α)",
    )
    axes.set(xscale="log", yscale="log", xlabel="dimension d")
    axes.set(ylabel="bits per coordinate above −log₂ P / d")
    axes.set_xticks(dims[::2], [str(d) for d in dims[::2]])
    axes.minorticks_off()
    axes.set_title(f"Mean bits of a payload over Gaussian vectors, α = {alpha:g}")
    spherical, *lines, best = axes.get_lines()
    axes.legend(handles=[best], loc="lower left")
    axes.annotate(
        spherical.get_label(),
        (dims[len(spent["spherical"]) - 1], spent["spherical"][-1]),
        (-75, -20),
        textcoords="offset points",
        color=spherical.get_color(),
        fontsize="small",
    )
    figures.label_ends(axes, lines)
    return figure


def total_saving(
    alphas: Sequence[float], total: Mapping[str, ArrayLike], limit: ArrayLike
) -> Figure:
    """Times less communication than float32 gradient descent, rounds by theory included."""
    figure, axes = figures.new(9, 4.2)
    for name, saving in total.items():
        _line(axes, name, alphas, saving)
    axes.plot(alphas, np.asarray(limit), label="optimal code", **figures.BOUND)
    axes.set(xlabel="α, distortion allowed", ylim=(0, None))
    axes.set_ylabel("times less communication than float32")
    axes.set_title("Total communication: bits × 1/(1 − α) rounds")
    figures.label_ends(axes)
    return figure
