"""Every compressor of the public names, with settings by the names of their fields."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

import paper_code
from paper_code.compressors.contract import Compressor, Look
from paper_code.compressors.convolutional.compression import ConvolutionalCompression
from paper_code.compressors.registry import CLASSES

Vector = NDArray[np.float32]


class Scheme(NamedTuple):
    """What is timed: an array to bytes (or what a peer calls so), and back."""

    name: str
    family: Literal["ours", "known", "peer"]
    encode: Callable[[Vector], Any]
    decode: Callable[[Any], Vector]
    bits: Callable[[Any], int]
    """Bits of what ``encode`` returned, all that the receiver needs but the peer's settings."""
    look: Look | None = None
    unbiased: bool = False
    """Whether the mean of what is decoded is x."""


def settings(kind: type[Compressor], field: str, d: int) -> float | int:
    """The value of a field that has no default, for vectors of d coordinates."""
    return {
        "nu": 0.1,
        "alpha": 0.9 if kind is ConvolutionalCompression else 0.1,  # its codes are for low rates
        "bits": 2,
        "omega": 0.25,
        "workers": 16,
        "worker": 0,
        "k": max(1, d // 100),
        "levels": 8,
    }[field]


def variants(kind: type[Compressor], d: int) -> Iterator[Compressor]:
    """One for every combination of its flags and named choices; other defaults stay.

    Not the rank of a subset, which only decoders of the first frames need, nor the fast search,
    which is the thorough one where coordinates are alike.
    """
    hints = get_type_hints(kind)
    choices: dict[str, tuple[Any, ...]] = {}
    for field in dataclasses.fields(kind):
        if hints[field.name] is bool:
            choices[field.name] = (False, True)
        elif get_origin(hints[field.name]) is Literal:
            choices[field.name] = tuple(
                c for c in get_args(hints[field.name]) if c not in ("rank", "fast")
            )
        elif field.default is dataclasses.MISSING:
            choices[field.name] = (settings(kind, field.name, d),)
    for values in itertools.product(*choices.values()):
        yield kind(**dict(zip(choices, values, strict=True)))


def ours(d: int, rng: np.random.Generator) -> list[Scheme]:
    """A scheme for each compressor of the library and variant, from array to frame and back."""
    return [scheme(compressor, rng) for kind in CLASSES for compressor in variants(kind, d)]


def scheme(compressor: Compressor, rng: np.random.Generator | None = None) -> Scheme:
    """From array to frame and back, the receiver knowing nothing but the bytes."""
    known = type(compressor).__module__.startswith("paper_code.compressors.known")
    return Scheme(
        str(compressor),
        "known" if known else "ours",
        lambda x: compressor.encode(x, rng).to_bytes(),
        paper_code.decode,
        lambda frame: 8 * len(frame),
        _look_of(compressor),
        compressor.guarantee(1 << 26).is_unbiased,
    )


def _look_of(compressor: Compressor) -> Look:
    """Its look; variants that figures need not tell apart are told apart here."""
    look = compressor.look
    bitmap = getattr(compressor, "positions", "subset") == "bitmap"
    return look._replace(label=f"{look.label}, bitmap") if bitmap else look
