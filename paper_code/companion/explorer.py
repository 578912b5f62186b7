"""Choose a compressor, a distortion and a vector; see the message, its bits and its error.

What is drawn is the notebook's business: a `Panel` is given a function that draws.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from .. import bounds
from ..compressors import registry
from ..compressors.contract import Compressor
from ..compressors.spherical.compression import SphericalCompression
from ..evaluation import sample_vectors
from ..messages.message import Message
from . import figures
from .parameters import ParameterError

MOST_DRAWS = 17
"""Spherical Compression may search 2^17 directions here: more takes too long to wait for."""

EXAMPLES: dict[str, Compressor] = {}
"""Every compressor of this library by the name that figures show, with some setting."""
for _example in registry.every():
    EXAMPLES.setdefault(_example.look.label, _example)

_FRAME, _SCALE, _NUMBER = "#9a9a9a", "#332288", "#56b4e9"
PART_COLORS = {
    "frame": _FRAME,
    "checksum": _FRAME,
    "padding": _FRAME,
    "step": _SCALE,
    "number of zeros": _NUMBER,
    "signs": "#d55e00",
    "levels": "#0072b2",
    "positions": "#009e73",
    "values": "#e69f00",
    "model": "#cc79a7",
    "class sizes": "#999933",
    "number of the direction": "#009e73",
    "gaps, signs, levels": "#882255",
    "signs and levels": "#882255",
    "signs and exponents": "#882255",
    "bits of the code word": "#009e73",
}
"""The colours of the parts of a frame that are not a norm, a scale or a count."""


def part_color(part: str) -> str:
    """The colour of a part of a frame: counts are light blue, norms and scales dark blue."""
    return PART_COLORS.get(part, _NUMBER if part.startswith("number") else _SCALE)


class Choice(NamedTuple):
    """What is chosen: a name of `EXAMPLES`, the distortion allowed, d, a kind of vector, a seed."""

    scheme: str = "Sparse Dithering"
    distortion: float = 0.1
    d: int = 24
    kind: str = "Gaussian"
    seed: int = 0


class Sent(NamedTuple):
    """A vector, its message, and what was received."""

    x: NDArray[np.float32]
    message: Message
    received: NDArray[np.float32]


def compressor_for(choice: Choice) -> Compressor:
    """The chosen compressor, set so that it guarantees the distortion, or as near as it can.

    Raises ParameterError where Spherical Compression would search too many directions, or where the
    compressor has no such setting.
    """
    try:
        return _set(EXAMPLES[choice.scheme], choice.distortion, choice.d)
    except ValueError as error:
        beside = f"at distortion = {choice.distortion:g} and d = {choice.d}"
        raise ParameterError(
            f"scheme = {choice.scheme!r} is not allowed {beside}: {error}"
        ) from error


def _set(example: Compressor, alpha: float, d: int) -> Compressor:
    settings = {field.name for field in dataclasses.fields(example)}
    if isinstance(example, SphericalCompression):
        draws = -bounds.log2_cap_probability(alpha, d)
        if draws > MOST_DRAWS:
            raise ValueError(
                f"it would search 2^{draws:.0f} directions; "
                "take fewer coordinates, or a larger distortion"
            )
    if "nu" in settings:
        level = alpha / (1 - alpha) if example.guarantee(d).is_unbiased else alpha
        return dataclasses.replace(example, nu=level)
    if "omega" in settings:
        return dataclasses.replace(example, omega=alpha / (1 - alpha))
    if "alpha" in settings:
        return dataclasses.replace(example, alpha=alpha)
    if "k" in settings:  # of all coordinates, or of each chunk
        of = min(d, getattr(example, "chunk", d))
        return dataclasses.replace(example, k=max(1, math.ceil((1 - alpha) * of - 1e-9)))
    if "bits" in settings:
        return _coarsest(example, "bits", range(1, 5), alpha, d)
    if "levels" in settings:
        numbers = [*range(1, 65), *(2**n for n in range(7, 21))]
        return _coarsest(example, "levels", numbers, alpha, d)
    return example


def _coarsest(
    example: Compressor, name: str, values: Iterable[int], alpha: float, d: int
) -> Compressor:
    """With the first of the rising `values` that is enough, or after which nothing improves."""
    best = example
    reached = math.inf
    for value in values:
        finer = dataclasses.replace(example, **{name: value})
        if finer.guarantee(d).alpha >= reached:
            return best
        best, reached = finer, finer.guarantee(d).alpha
        if reached <= alpha:
            return best
    return best


def send(choice: Choice) -> Sent:
    """Draw the vector, encode it as float32, and decode the bytes."""
    rng = np.random.default_rng(choice.seed)
    x = sample_vectors.KINDS[choice.kind](choice.d, rng).astype(np.float32)
    message = compressor_for(choice).encode(x, rng)
    return Sent(x, message, Message.from_bytes(message.to_bytes()).decode())


def promising(choice: Choice) -> list[str]:
    """The schemes that can promise the distortion of ``choice`` at its d."""
    return [name for name in EXAMPLES if _promises(choice._replace(scheme=name))]


def _promises(choice: Choice) -> bool:
    try:
        compressor = compressor_for(choice)
    except ParameterError:  # more work than is allowed here, or no such setting
        return False
    return compressor.guarantee(choice.d).alpha <= choice.distortion * (1 + 1e-9)


class Panel(widgets.VBox):
    """Controls, and the figure of what they choose; shown without a kernel, the figure alone.

    ``draw`` makes the figure of a choice and what was sent.
    """

    def __init__(self, draw: Callable[[Choice, Sent], Any], choice: Choice | None = None) -> None:
        self._draw, self._choice = draw, choice or Choice()
        self.controls = _controls(self._choice)
        self.figure = widgets.Image(format="png", layout={"max_width": "100%"})
        self.complaint = widgets.Label()
        rows = [widgets.HBox([*self.controls.values()], layout={"flex_flow": "row wrap"})]
        super().__init__([*rows, self.complaint, self.figure])
        for control in self.controls.values():
            control.observe(self._changed, "value")
        self._changed()

    def _changed(self, change: object = None) -> None:
        choice = Choice(**{name: control.value for name, control in self.controls.items()})
        try:
            sent = send(choice)
        except (
            ParameterError
        ) as error:  # the choice is shown to be impossible; the old figure stays
            self.complaint.value = str(error)
            return
        self.complaint.value = ""
        self.figure.value = figures.png(self._draw(choice, sent))

    def _repr_mimebundle_(self, **options: object) -> dict[str, str]:
        picture = base64.b64encode(self.figure.value).decode()
        return super()._repr_mimebundle_(**options) | {"image/png": picture}


def _controls(choice: Choice) -> dict[str, widgets.Widget]:
    """One for each field of a `Choice`."""
    wide = {"layout": {"width": "24em"}, "style": {"description_width": "7em"}}
    late = {"continuous_update": False, **wide}  # when the slider is let go
    return {
        "scheme": widgets.Dropdown(
            options=list(EXAMPLES), value=choice.scheme, description="compressor", **wide
        ),
        "distortion": widgets.FloatLogSlider(
            value=choice.distortion, min=-2, max=-0.02, step=0.02, description="distortion", **late
        ),
        "d": widgets.IntSlider(value=choice.d, min=1, max=256, description="coordinates d", **late),
        "kind": widgets.Dropdown(
            options=list(sample_vectors.KINDS), value=choice.kind, description="vector", **wide
        ),
        "seed": widgets.BoundedIntText(
            value=choice.seed, min=0, max=9999, description="seed", **wide
        ),
    }
