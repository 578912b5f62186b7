"""Notebook 00: the bits of one message by what they say, what arrived, and where that stands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from paper_code import bounds
from paper_code.companion import figures
from paper_code.companion.explorer import Choice, Sent
from paper_code.companion.figures import look
from paper_code.evaluation.measure import distortion
from paper_code.evaluation.payload_parts import frame_parts, payload_parts
from paper_code.evaluation.rate_distortion import setting
from paper_code.messages.message import Message

COLORS = {
    "frame": "#9a9a9a",
    "checksum": "#9a9a9a",
    "padding": "#9a9a9a",
    "signs": "#d55e00",
    "levels": "#0072b2",
    "positions": "#009e73",
    "values": "#e69f00",
    "model": "#cc79a7",
    "class sizes": "#999933",
    "number of the direction": "#009e73",
    "gaps, signs, levels": "#882255",
    "signs and levels": "#882255",
}
SCALE, COUNT = "#332288", "#56b4e9"  # norm, step, largest value; how many zeros there are
ROW = 64  # bits
LEGEND = {"fontsize": "small", "handlelength": 1, "columnspacing": 1.2, "borderaxespad": 0.2}
SPELLED = 10  # rows, up to which bytes are written as hexadecimal digits too


def color(part: str) -> str:
    """The colour of a part, in this notebook's figures."""
    return COLORS.get(part, COUNT if part.startswith("number") else SCALE)


def explorer(choice: Choice, sent: Sent) -> Figure:
    """Above, every bit of the frame; below, the vector, and its place under the bound."""
    parts = frame_parts(sent.message)
    rows = -(-sum(parts.values()) // ROW)
    above, below = (0.42 * rows if rows <= SPELLED else min(4.5, 0.25 * rows)), 3.4
    height = above + below + 1.9  # inches; a fixed layout takes half the time of a fitted one
    figure = Figure(figsize=(10, height), layout="none")
    panels = figure.subplot_mosaic(
        [["bits", "bits"], ["vector", "plane"]], height_ratios=[above, below]
    )
    margins = {"bottom": 0.55 / height, "top": 1 - 0.65 / height}
    gap = 0.75 / ((above + below) / 2)
    figure.subplots_adjust(left=0.06, right=0.985, wspace=0.18, hspace=gap, **margins)
    _bits(panels["bits"], sent, parts)
    _vector(panels["vector"], choice, sent)
    _plane(panels["plane"], choice, sent)
    return figure


def _bits(axes: Axes, sent: Sent, parts: Mapping[str, int]) -> None:
    data = np.frombuffer(sent.message.to_bytes(), np.uint8)
    rows = -(-data.size // (ROW // 8))
    axes.imshow(_cells(data, parts), aspect="auto", extent=(0, 8, rows, 0))
    axes.vlines(np.arange(1, 8), 0, rows, color="white", linewidth=5)
    if rows <= SPELLED:
        for row in range(rows):
            axes.axhspan(row, row + 0.44, color="white", linewidth=0)
        for place, byte in enumerate(data):
            at = place % 8 + 0.5, place // 8 + 0.22
            axes.text(*at, f"{byte:02x}", ha="center", va="center", family="monospace", fontsize=9)
    axes.grid(visible=False)
    axes.set_xticks(np.arange(8) + 0.5, [f"+{byte}" for byte in range(8)])
    shown = np.arange(0, rows, -(-rows // 8))
    axes.set_yticks(shown + 0.5, shown * 8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    says = f"{data.size} bytes of frame, {sent.message.bits} bits of payload"
    axes.set_title(f"The message: {says}", pad=24)
    _name_parts(axes, parts)


def _cells(data: NDArray[np.uint8], parts: Mapping[str, int]) -> NDArray[np.float64]:
    """An image of the bits, 64 in a row: the colour of their part, light where they are zero."""
    ones = np.unpackbits(data)
    full = np.repeat([to_rgb(color(part)) for part in parts], list(parts.values()), axis=0)
    image = np.ones((-(-ones.size // ROW) * ROW, 3))
    image[: ones.size] = np.where(ones[:, None], full, 1 - 0.3 * (1 - full))
    return image.reshape(-1, ROW, 3)


def _name_parts(axes: Axes, parts: Mapping[str, int]) -> None:
    around = sum(bits for name, bits in parts.items() if color(name) == COLORS["frame"])
    inside = {name: bits for name, bits in parts.items() if color(name) != COLORS["frame"]}
    named = inside | ({"frame": around} if around else {})
    keys = [Patch(color=color(name), label=f"{name} {bits}") for name, bits in named.items()]
    axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(keys), **LEGEND)


def same_vector(choice: Choice, messages: Mapping[str, Message]) -> Figure:
    """The payloads of one vector under several schemes, the shortest first, cut into parts."""
    figure, axes = figures.new(10, 0.42 * len(messages) + 1.6)
    order = sorted(messages, key=lambda name: messages[name].bits)
    least = bounds.worst_case_lower_bits(choice.distortion, choice.d)
    widest = 1.2 * max([b for m in messages.values() if (b := m.bits) < 3 * least], default=least)
    met: dict[str, str] = {}
    for at, name in enumerate(order):
        start = 0
        for part, bits in payload_parts(messages[name]).items():
            axes.barh(at, bits, left=start, color=color(part), edgecolor="white")
            met.setdefault(color(part), part)
            start += bits
        inside = {"ha": "right"} if start > widest else {}
        says = f"{start} →  " if inside else f" {start}"
        axes.text(min(start, widest), at, says, va="center", fontsize="small", **inside)
    axes.axvline(least, label=f"no scheme promises it in fewer than {least:.0f}", **figures.BOUND)
    axes.set_yticks(range(len(order)), [look(name).label for name in order])
    axes.set(xlim=(0, widest), ylim=(len(order) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("bits of payload")
    axes.set_title(f"{_named(choice)}, distortion at most {choice.distortion:g} promised", pad=58)
    keys = [Patch(color=shade, label=part) for shade, part in met.items()]
    handles = [*axes.get_legend_handles_labels()[0], *keys]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, **LEGEND)
    return figure


def _vector(axes: Axes, choice: Choice, sent: Sent) -> None:
    places, ours = np.arange(choice.d), look(choice.scheme)
    size = 6 if choice.d <= 64 else 3
    axes.vlines(places, sent.x, sent.received, color="#888888", linewidth=1)
    axes.plot(places, sent.x, "o", color="black", markersize=size - 2, label="x")
    style = {"color": ours.color, "markersize": size, "markerfacecolor": "none"}
    axes.plot(places, sent.received, ours.marker, label="C(x), received", **style)
    axes.set(xlabel="coordinate", title=_named(choice))
    axes.legend(fontsize="small")


def _named(choice: Choice) -> str:
    return f"{choice.kind[0].upper()}{choice.kind[1:]} vector, d = {choice.d}"


def _plane(axes: Axes, choice: Choice, sent: Sent) -> None:
    d, ours, compressor = choice.d, look(choice.scheme), sent.message.compressor
    rate, error = sent.message.bits / d, distortion(sent.x, sent.received)
    lowest = 1e-3
    alpha = np.geomspace(lowest / 2, 0.9999, 200)
    least = bounds.average_case_bits(alpha, d) / d
    axes.fill_betweenx(alpha, 0, least, color="#f3f3f3", linewidth=0)
    axes.plot(least, alpha, label="lower bound", **figures.BOUND)
    promised, most = compressor.guarantee(d).alpha, compressor.expected_bits(d) / d
    style = {"color": ours.color, "clip_on": False, "zorder": 3, "linewidth": 0}
    if np.isfinite(most) and promised:
        axes.plot(most, promised, ours.marker, mfc="white", ms=9, label="promised", **style)
    axes.plot(rate, max(error, lowest), ours.marker, ms=11, label="this message", **style)
    axes.set(yscale="log", ylim=(lowest, 1.4), xlabel="bits per coordinate", ylabel="distortion")
    axes.set_xlim(0, max(6.0, 1.15 * rate))
    axes.set_title(
        f"{ours.label}{', ' * bool(s := setting(compressor))}{s}: distortion {error:.2g}"
    )
    axes.legend(fontsize="small", loc="lower left")
