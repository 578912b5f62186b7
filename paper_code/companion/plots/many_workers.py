"""Notebook 10: descents of n workers, a network's accuracy against bytes, and when it pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_code.companion import figures
from paper_code.companion.figures import Look, look
from paper_code.descent.one_worker import Run


class Curve(NamedTuple):
    """How one method is drawn: the look of its compressor, its own name and line."""

    look: Look
    name: str
    linestyle: str = "-"


METHODS = {
    "GD": Curve(look("basic"), "float32"),
    "DCGD": Curve(look("unbiased_sd"), "CGD, unbiased SD", "--"),
    "DIANA": Curve(look("unbiased_sd"), "DIANA, unbiased SD"),
    "biased DCGD": Curve(look("biased_sd"), "CGD, SD", "--"),
    "EF21": Curve(look("biased_sd"), "EF21, SD"),
}
TRAINED = {
    "none": Curve(look("basic"), "float32"),
    "fp16": Curve(look("basic"), "float16", "--"),
    "powersgd": Curve(look("topk"), "PowerSGD"),
    "entropy-coded-sd": Curve(look("entropy_coded_sd"), "entropy-coded SD"),
    "trellis": Curve(look("trellis"), "trellis"),
}
SIZES = ("#f2a065", "#e27a35", "#d55e00", "#8f3f00", "#4a2100")
LINKS = {1e9: "1 Gbit/s", 1e10: "10 Gbit/s", 1e11: "100 Gbit/s"}


def descents(runs: Mapping[str, Run], n: int, stop_error: float) -> Figure:
    """Error against the bytes that each of n workers has sent."""
    figure, axes = figures.new(9, 5)
    reached = [run.bytes[-1] for run in runs.values() if run.errors[-1] <= stop_error]
    most = max(reached) / n
    for name, run in runs.items():
        shown = run.bytes / n <= most
        _line(axes, METHODS[name], run.bytes[shown] / n, run.errors[shown])
    axes.set(yscale="log", ylim=(stop_error / 2, 1.5), xlim=(0, None))
    axes.set(xlabel="bytes sent by each worker", ylabel=figures.ERROR)
    axes.set_title(f"Ridge regression on {n} workers that see different targets")
    figures.label_ends(axes)
    return figure


def by_number(workers: Sequence[int], needed: Mapping[str, Sequence[float]], error: str) -> Figure:
    """Bytes that each worker sends until the error is reached, against their number."""
    figure, axes = figures.new(7.5, 4)
    for name, sent in needed.items():
        _line(axes, METHODS[name], workers, sent, marker=METHODS[name].look.marker)
    axes.set(xscale="log", ylim=(0, None), xlabel="workers", ylabel=f"bytes a worker to {error}")
    axes.set_xticks(workers, labels=map(str, workers))
    axes.minorticks_off()
    axes.set_title("More workers do not cost each of them more")
    figures.label_ends(axes)
    return figure


def training(results: Sequence[Mapping[str, Any]]) -> Figure:
    """Test accuracy after every epoch against the bytes that a process has sent."""
    figure, axes = figures.new(9, 4.5)
    for result in results:
        points = [(point["bytes"], point["accuracy"]) for point in result["curve"]]
        curve = TRAINED[result["compressor"]]
        _line(axes, curve, *np.array(points).T, marker=curve.look.marker, markersize=4)
    axes.set(xscale="log", xlabel="bytes sent by each process", ylabel="test accuracy, %")
    axes.set(ylim=(60, 100), title=f"Digits, {results[0]['processes']} processes, epoch by epoch")
    axes.legend(loc="lower right")  # the ends are too near to each other for labels
    return figure


def break_evens(
    workers: NDArray[np.float64],
    speeds: Mapping[str, Mapping[float, NDArray[np.float64]]],
) -> Figure:
    """For each codec the network speed below which it pays, against n, for several d."""
    figure, panels = figures.new(11, 4.5, columns=len(speeds))
    for axes, (title, of_size) in zip(np.atleast_1d(panels), speeds.items(), strict=True):
        for (d, speed), color in zip(of_size.items(), SIZES, strict=True):
            label = f"d = $10^{{{round(np.log10(d))}}}$"
            axes.plot(workers, speed, color=color, label=label)
        for link, name in LINKS.items():
            axes.axhline(link, color="#999999", linewidth=0.8, zorder=0)
            axes.text(workers[0], link * 1.08, name, fontsize="small", color="#666666")
        axes.set(xscale="log", yscale="log", xlabel="workers", ylim=(1e7, 3e11), title=title)
        figures.label_ends(axes)
    np.atleast_1d(panels)[0].set_ylabel("bits a second: compression pays below")
    return figure


def _line(axes: Axes, curve: Curve, x: Any, y: Any, **style: Any) -> None:  # noqa: ANN401
    color, label = curve.look.color, curve.name
    axes.plot(x, y, color=color, label=label, linestyle=curve.linestyle, **style)
