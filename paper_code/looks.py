"""The one look of every compressor, in all figures."""

from typing import NamedTuple


class Look(NamedTuple):
    """How one compressor is drawn everywhere: its name, colour, marker and line."""

    label: str
    color: str
    marker: str
    linestyle: str = "-"


# Colours that stay apart for the colour-blind (Okabe and Ito; Tol's muted set for the others).
# An unbiased scheme has its biased twin's marker and a lighter tone of its colour.
LOOKS = {
    "basic": Look("gradient descent", "#4d4d4d", "o"),
    "topk": Look("top-k", "#e69f00", "s"),
    "randk": Look("rand-k", "#f5cf7d", "s"),
    "biased_sd": Look("Sparse Dithering", "#0072b2", "^"),
    "unbiased_sd": Look("unbiased Sparse Dithering", "#56b4e9", "^"),
    "entropy_coded_sd": Look("entropy-coded Sparse Dithering", "#00395a", "^"),
    "spherical": Look("Spherical", "#009e73", "D"),
    "unbiased_spherical": Look("unbiased Spherical", "#7fd0b8", "D"),
    "trellis": Look("trellis", "#d55e00", "*"),
    "unbiased_trellis": Look("unbiased trellis", "#f2a065", "*"),
    "subtractive_dithering": Look("subtractive dithering", "#cc79a7", "P"),
    "qsgd": Look("QSGD", "#882255", "v"),
    "ternary": Look("ternary", "#aa4499", "<"),
    "natural": Look("natural compression", "#999933", ">"),
    "natural_dithering": Look("natural dithering", "#ddcc77", ">"),
    "scaled_sign": Look("scaled sign", "#661100", "X"),
    "drive": Look("rotation and 1 bit", "#332288", "h"),
    "eden": Look("EDEN, 1 bit", "#8f84c4", "h"),
}


def look(name: str) -> Look:
    """The look of the compressor called `name`; ValueError lists the names there are."""
    if name not in LOOKS:
        raise ValueError(f"no look for {name!r}; there are {', '.join(LOOKS)}")
    return LOOKS[name]
