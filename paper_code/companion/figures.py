"""One look for every figure: the same colour for the same compressor, bounds in dashed black.

Importing this module sets matplotlib's style. Figures are made with `new` and written with `save`,
without pyplot, so that no backend and no state is shared; the same data give the same bytes.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

try:
    import matplotlib
except ModuleNotFoundError as missing:
    raise ImportError(
        "paper_code.companion.figures needs matplotlib: "
        "pip install 'optimal-gradient-compression[notebooks]'"
    ) from missing
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from numpy.typing import NDArray

from paper_code.companion import files

STYLE: dict[Any, Any] = {  # matplotlib lists the allowed keys in a type of its own
    # One family, which matplotlib brings itself: of fonts that match equally well it takes its own
    # before the system's. With the default, a list, letters missing from the first family would
    # come from whichever of the others is installed, and figures would differ between machines.
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "legend.frameon": False,
    "savefig.bbox": "tight",
    "svg.fonttype": "path",  # the same letters wherever the figure is shown
    "svg.hashsalt": "paper_code",  # else the ids inside an SVG differ from run to run
}

matplotlib.rcdefaults()  # whatever a matplotlibrc of this machine says
matplotlib.rcParams.update(STYLE)

BOUND = {"color": "black", "linestyle": "--", "linewidth": 1.5}
LABEL_GAP = 12  # points from the end of a line to its label
HALO = [patheffects.withStroke(linewidth=3, foreground="white")]
ERROR = "‖xᵗ − x*‖² / ‖x⁰ − x*‖²"


class Picture(NamedTuple):
    """A figure that was saved; a notebook shows it."""

    stem: str
    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"figures/{self.stem}.svg and .png"


def new(
    width: float = 6.4, height: float = 4.0, rows: int = 1, columns: int = 1
) -> tuple[Figure, Axes | NDArray[np.object_]]:
    """A figure of `width` × `height` inches and its axes (an array of them when several)."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns)


def write(figure: Figure, folder: Path, name: str) -> Picture:
    """Write `<name>.svg` and `.png` into `folder`, neither of them where drawing fails.

    Nothing in the files depends on the time or the run.
    """
    svg = _render(figure, "svg", {"Date": None, "Creator": None})
    data = png(figure)
    files.atomic_write(folder / f"{name}.svg", svg)
    files.atomic_write(folder / f"{name}.png", data)
    return Picture(name, data)


def png(figure: Figure) -> bytes:
    """The figure as PNG, with what `describe` says for those who cannot see it."""
    return _render(figure, "png", {"Software": None, "Description": describe(figure)})


def describe(figure: Figure) -> str:
    """What the figure shows, in words: of each panel title, axes and the names of what is drawn."""
    return " ".join(filter(None, map(_describe_panel, figure.axes)))


def _describe_panel(axes: Axes) -> str:
    x, y = (" ".join(axis.get_label_text().split()) for axis in (axes.xaxis, axes.yaxis))
    sides = f"{y} against {x}" if x and y else x or y
    names = ", ".join(dict.fromkeys(axes.get_legend_handles_labels()[1]))
    title = axes.get_title(loc="left") or axes.get_title()
    said = ": ".join(filter(None, (title, "; ".join(filter(None, (sides, names))))))
    return " ".join(said.split()) + "." if said else ""


def _render(figure: Figure, kind: str, metadata: Mapping[str, str | None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=dict(metadata))
    return buffer.getvalue()


def label_ends(axes: Axes, lines: Sequence[Line2D] | None = None) -> None:
    """Write each line's label beside its last point, in its colour; no two labels overlap.

    A label that would meet another is lifted above it. `lines` are the labelled lines of `axes`
    unless given. Call it last: scales and limits must stand.
    """
    figure = axes.figure.canvas.figure
    figure.draw_without_rendering()
    if lines is None:
        lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    lines = sorted(lines, key=_from_below_and_from_the_right)
    style: dict[str, Any] = {"path_effects": HALO, "fontsize": "small"}
    labels = [_at_end(axes, line, str(line.get_label()), 0, **style) for line in lines]
    moved = True
    while moved:  # the layout makes room for the labels, which brings them nearer to each other
        figure.draw_without_rendering()
        moved = any([_lifted(label, labels[:i]) for i, label in enumerate(labels)])
    for line, label in zip(lines, labels, strict=True):
        leader = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.7}
        _at_end(axes, line, "", label.get_position()[1], arrowprops=leader)


def _lifted(label: Annotation, others: Sequence[Annotation]) -> bool:
    """Lift ``label`` above the others that it meets; whether that was needed."""
    boxes = [other.get_window_extent() for other in others]
    box, up = label.get_window_extent(), 0  # moved without matplotlib, which takes 4 ms to ask
    point = label.figure.canvas.figure.dpi / 72
    while any(box.translated(0, up * point).overlaps(other) for other in boxes):
        up += 1
    label.set_position((LABEL_GAP, label.get_position()[1] + up))
    return up > 0


def _end(line: Line2D) -> tuple[float, float]:
    """The last point of a line."""
    return np.asarray(line.get_xdata())[-1], np.asarray(line.get_ydata())[-1]


def _at_end(axes: Axes, line: Line2D, text: str, up: float, **style: Any) -> Annotation:
    return axes.annotate(
        text,
        _end(line),
        xytext=(LABEL_GAP, up),
        textcoords="offset points",
        va="center",
        color=line.get_color(),
        annotation_clip=False,
        **style,
    )


def _from_below_and_from_the_right(line: Line2D) -> tuple[float, float]:
    x, y = line.get_transform().transform(_end(line))
    return float(y), -float(x)
