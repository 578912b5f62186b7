"""Choose a compressor, a distortion and a vector; see the message, its bits and its error."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from .. import bounds
from ..compressors import known
from ..compressors.contract import Compressor
from ..compressors.entropy_coded_sparse_dithering import EntropyCodedSparseDithering
from ..compressors.sparse_dithering import SparseDithering
from ..compressors.spherical.compression import SphericalCompression
from ..compressors.subtractive_dithering import SubtractiveDithering
from ..compressors.trellis.compression import TrellisCompression
from ..evaluation import sample_vectors
from ..messages.message import Message
from . import figures
from .figures import LOOKS

MOST_DRAWS = 17
"""Spherical Compression may search 2^17 directions here: more is no fun to wait for."""


class Choice(NamedTuple):
    """What is chosen: a name of `LOOKS`, the distortion allowed, d, a kind of vector, a seed."""

    scheme: str = "biased_sd"
    distortion: float = 0.1
    d: int = 24
    kind: str = "Gaussian"
    seed: int = 0


class Sent(NamedTuple):
    """A vector, its message, and what was received."""

    x: NDArray[np.float32]
    message: Message
    received: NDArray[np.float32]


def _spherical(alpha: float, d: int) -> Compressor:
    draws = -bounds.log2_cap_probability(alpha, d)
    if draws > MOST_DRAWS:
        raise ValueError(
            f"Spherical Compression would search 2^{draws:.0f} directions: "
            "take fewer coordinates, or a larger distortion"
        )
    return SphericalCompression(alpha)


def _fewest_levels(
    kind: Callable[[int], Compressor], most: int
) -> Callable[[float, int], Compressor]:
    def choose(alpha: float, d: int) -> Compressor:
        enough = (s for s in count(1) if s == most or kind(s).guarantee(d).alpha <= alpha)
        return kind(next(enough))

    return choose


def _kept(alpha: float, d: int) -> int:
    return max(1, math.ceil((1 - alpha) * d - 1e-9))


SCHEMES: dict[str, Callable[[float, int], Compressor]] = {
    "biased_sd": lambda alpha, d: SparseDithering(alpha),
    "unbiased_sd": lambda alpha, d: SparseDithering(alpha / (1 - alpha), unbiased=True),
    "spherical": _spherical,
    "entropy_coded_sd": lambda alpha, d: EntropyCodedSparseDithering(alpha),
    "subtractive_dithering": lambda alpha, d: SubtractiveDithering(alpha / (1 - alpha)),
    "trellis": lambda alpha, d: TrellisCompression(alpha),
    "topk": lambda alpha, d: known.TopK(_kept(alpha, d)),
    "randk": lambda alpha, d: known.RandK(_kept(alpha, d)),
    "qsgd": _fewest_levels(known.RandomDithering, 1 << 20),
    "natural_dithering": _fewest_levels(known.NaturalDithering, 64),
    "natural": lambda alpha, d: known.NaturalCompression(),
    "ternary": lambda alpha, d: known.Ternary(),
    "scaled_sign": lambda alpha, d: known.ScaledSign(),
    "drive": lambda alpha, d: known.RotatedSign(),
    "eden": lambda alpha, d: known.RotatedSign(unbiased=True),
    "basic": lambda alpha, d: known.Identity(),
}
"""By a name of `LOOKS`: the compressor that guarantees a distortion at d coordinates, or the
nearest that there is; the last have no setting."""


def send(choice: Choice) -> Sent:
    """Draw the vector, encode it as float32, and decode the bytes."""
    rng = np.random.default_rng(choice.seed)
    x = sample_vectors.KINDS[choice.kind](choice.d, rng).astype(np.float32)
    message = SCHEMES[choice.scheme](choice.distortion, choice.d).encode(x, rng)
    return Sent(x, message, Message.from_bytes(message.to_bytes()).decode())


def promising(choice: Choice) -> list[str]:
    """The schemes that can promise the distortion of ``choice`` at its d."""
    return [name for name in SCHEMES if _promises(name, choice)]


def _promises(scheme: str, choice: Choice) -> bool:
    try:
        compressor = SCHEMES[scheme](choice.distortion, choice.d)
    except ValueError:  # more work than is allowed here
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
        except ValueError as error:  # the choice is shown to be impossible; the old figure stays
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
    names = [(LOOKS[name].label, name) for name in SCHEMES]
    return {
        "scheme": widgets.Dropdown(
            options=names, value=choice.scheme, description="compressor", **wide
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
