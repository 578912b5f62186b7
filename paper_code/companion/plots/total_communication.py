"""Notebook 06: what compression saves in all, by theory and in runs, and what it costs in rounds.

Measured points come by (problem, scheme, alpha); alpha = omega/(1 + omega) for the unbiased.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_code.bounds import Optimum
from paper_code.companion import figures
from paper_code.companion.figures import look
from paper_code.descent.problems import Problem

Array = NDArray[np.float64]
Points = Mapping[tuple[str, str, float], float]

ALPHA = "α  (ω / (1 + ω) for the unbiased)"
BOLD = "with step 1/L"  # unbiased Sparse Dithering at gradient descent's own step


def theory(
    alphas: Array,
    ceiling: Array,
    saving: Mapping[str, Array | Mapping[int, Array]],
    feasible: NDArray[np.bool_],
    top_k: tuple[Array, Array],
    peaks: Mapping[str, Optimum],
) -> Figure:
    """Savings against alpha; ``saving["spherical"]`` by d, dotted at d = 100 if not feasible."""
    figure, axes = figures.new(9, 5.4)
    axes.plot(alphas, ceiling, label="optimal codes, large d", **figures.BOUND)
    ours = look("spherical")
    hundred = saving["spherical"][100]
    axes.plot(alphas[~feasible], hundred[~feasible], color=ours.color, linestyle=":")
    axes.plot(alphas[feasible], hundred[feasible], color=ours.color, label="Spherical, d = 100")
    for name in ("unbiased_sd", "biased_sd"):
        axes.plot(
            alphas, saving[name], color=look(name).color, label=f"{look(name).label}, large d"
        )
    fourteen = {"color": ours.color, "linewidth": 1.2, "label": "Spherical, d = 14"}
    axes.plot(alphas, saving["spherical"][14], **fourteen)
    axes.plot(*top_k, color=look("topk").color, label="top-k, d = 1000")
    axes.axhline(1, color="#999999", linewidth=1)
    middle = int(np.argmax(hundred))
    axes.annotate(
        "more than 2³² directions to search",
        (alphas[middle], hundred[middle]),
        (0, 5),
        textcoords="offset points",
        ha="center",
        color=ours.color,
        fontsize="small",
    )
    _peak(axes, "unbiased_sd", "ω", peaks["unbiased_sd"], (0.2, 12.2))
    _peak(axes, "biased_sd", "ν", peaks["biased_sd"], (0.1, 5.1))
    axes.set(yscale="log", xlim=(0, 1), ylim=(0.5, 60), xlabel=ALPHA)
    axes.set(ylabel="times fewer bits in all than gradient descent")
    axes.set_title("What the guarantees save")
    axes.legend(loc="lower left", bbox_to_anchor=(0.02, 0.16), fontsize="small")
    _plain_ticks(axes, (0.5, 1, 2, 5, 10, 20, 50))
    return figure


def _peak(axes: Axes, scheme: str, symbol: str, peak: Optimum, place: tuple[float, float]) -> None:
    shown = look(scheme)
    at = peak.level / (1 + peak.level) if symbol == "ω" else peak.level
    axes.plot(at, peak.saving, shown.marker, color=shown.color, markersize=9)
    axes.annotate(
        f"{peak.saving:.2f}× at {symbol} = {peak.level:.3f}",
        (at, peak.saving),
        place,
        color=shown.color,
        fontsize="small",
        arrowprops={"arrowstyle": "-", "color": shown.color, "linewidth": 0.7},
    )


def rounds(alphas: Array, more: Points, problems: Mapping[str, Problem]) -> Figure:
    """Rounds over gradient descent's against alpha, one panel a problem, under 1/(1 - alpha)."""
    figure, panels = figures.new(10.5, 4.4, columns=len(problems))
    for axes, (name, problem) in zip(panels, problems.items(), strict=True):
        shown = alphas <= 0.85
        axes.plot(alphas[shown], 1 / (1 - alphas[shown]), **figures.BOUND)
        _points(axes, name, more)
        axes.set(yscale="log", ylim=(0.85, 7), xlim=(0, 0.88), xlabel=ALPHA)
        axes.set_title(f"{name}: d = {problem.d}, κ = {problem.kappa:.0f}")
        _plain_ticks(axes, (1, 1.5, 2, 3, 5))
    panels[0].set_ylabel("rounds, over gradient descent's")
    at = 0.55
    panels[1].annotate(
        "theory: 1/(1 − α) = 1 + ω",
        (at, 1 / (1 - at)),
        (-12, 20),
        textcoords="offset points",
        ha="right",
        arrowprops={"arrowstyle": "-"},
    )
    panels[0].legend(loc="upper left", fontsize="small")
    return figure


def measured(
    alphas: Array,
    less: Points,
    problems: Mapping[str, Problem],
    promised: Mapping[str, Mapping[str, Array]],
) -> Figure:
    """Savings counted in runs (points) beside those that theory promises at this d (lines)."""
    figure, panels = figures.new(10.5, 4.6, columns=len(problems))
    for axes, (name, problem) in zip(panels, problems.items(), strict=True):
        for scheme, line in promised[name].items():
            axes.plot(alphas, line, color=look(scheme).color, linewidth=1.5)
        _points(axes, name, less)
        axes.set(yscale="log", ylim=(1, 35), xlim=(0, 0.88), xlabel=ALPHA)
        axes.set_title(f"{name}: d = {problem.d}")
        _plain_ticks(axes, (1, 2, 5, 10, 20))
    panels[0].set_ylabel("times fewer bits than gradient descent")
    panels[0].legend(loc="upper left", fontsize="small", title="counted (lines: promised)")
    return figure


def bias(
    alphas: Array,
    rates: Mapping[str, Array],
    lowest: Array,
    workers: NDArray[np.integer],
    errors: Mapping[str, Array],
) -> Figure:
    """Left: bits per coordinate promised at equal alpha. Right: error of the mean of n messages."""
    figure, (left, right) = figures.new(10.5, 4, columns=2)
    left.plot(alphas, lowest, label="lower bound", **figures.BOUND)
    for scheme, rate in rates.items():
        left.plot(alphas, rate, color=look(scheme).color, label=look(scheme).label)
    left.set(xlabel=ALPHA, ylabel="bits per coordinate", ylim=(0, 6), xlim=(0, 1))
    left.set_title("Bits promised for the same rounds")
    left.legend(loc="upper right", fontsize="small")
    for scheme, error in errors.items():
        shown = look(scheme)
        right.plot(workers, error, shown.marker + "-", color=shown.color, markersize=8)
    for text, scheme, at in (
        ("the same error, as often as it is sent", "biased_sd", (5, 0.085)),
        ("falls like 1/n", "unbiased_sd", (1.6, 0.014)),
    ):
        right.text(*at, text, color=look(scheme).color)
    right.set(xscale="log", yscale="log", xlabel="workers n, all with the same gradient")
    right.set(ylabel="relative squared error of the mean", title="Averaging")
    right.set_xticks(workers, [str(n) for n in workers])
    right.minorticks_off()
    return figure


def _points(axes: Axes, problem: str, values: Points) -> None:
    for scheme, label in (
        ("biased_sd", "Sparse Dithering"),
        ("unbiased_sd", "unbiased, theory's step"),
        ("bold", "unbiased, step 1/L"),
        ("spherical", "Spherical"),
    ):
        seen = {key[2]: value for key, value in values.items() if key[:2] == (problem, scheme)}
        shown = look("unbiased_sd" if scheme == "bold" else scheme)
        face, size = ("none", 12) if scheme == "bold" else (shown.color, 7)
        style = {"color": shown.color, "markerfacecolor": face, "markersize": size}
        if seen:
            axes.plot(
                list(seen), list(seen.values()), shown.marker, label=label, ls="none", **style
            )


def _plain_ticks(axes: Axes, values: tuple[float, ...]) -> None:
    axes.set_yticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
