"""A small language model: characters of Python's own standard library, a transformer of 0.6 M.

The text needs no download: it is the source of the modules FILES of the Python that runs this,
always in the same order. So it is the same text for all processes and runs on one version of
Python, and another one on another version: compare losses of one version only (``Text.checksum``).
"""

from __future__ import annotations

import sysconfig
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FILES = (
    "_pydecimal", "argparse", "ast", "base64", "bdb", "calendar", "cmd", "codecs", "configparser",
    "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "difflib", "dis", "doctest",
    "enum", "filecmp", "fractions", "ftplib", "functools", "getpass", "gettext", "glob", "gzip",
    "heapq", "hmac", "imaplib", "inspect", "ipaddress", "locale", "mailbox", "mimetypes",
    "netrc", "ntpath", "optparse", "os", "pdb", "pickle", "pickletools", "platform", "plistlib",
    "poplib", "posixpath", "pprint", "profile", "pstats", "pyclbr", "pydoc", "queue", "random",
    "reprlib", "sched", "selectors", "shelve", "shlex", "shutil", "smtplib", "socket",
    "socketserver", "ssl", "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap",
    "threading", "timeit", "tokenize", "trace", "traceback", "turtle", "typing", "uuid", "warnings",
    "weakref", "webbrowser", "zipfile",
)  # fmt: skip
"""Modules of one file that Python 3.11 to 3.14 have; one that is missing is left out."""

VALIDATION_EVERY = 10  # files: so much of the text is never trained on
SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))  # any other character is read as a space
CONTEXT = 64  # characters that the model sees


@dataclass(frozen=True)
class Text:
    """Symbols as numbers: what is trained on, and what is not."""

    training: torch.Tensor
    validation: torch.Tensor

    @property
    def checksum(self) -> int:
        """Of all symbols: losses compare where it is equal."""
        return zlib.crc32(self.validation.numpy(), zlib.crc32(self.training.numpy()))

    def batch(self, size: int, seed: int, rank: int, step: int) -> tuple[torch.Tensor, ...]:
        """What a worker trains on in a step: symbols and those after them, (size, CONTEXT) each."""
        starts = np.random.default_rng([seed, rank, step]).integers(
            len(self.training) - CONTEXT, size=size
        )
        return _windows(self.training, starts)

    def validation_batch(self, size: int = 256) -> tuple[torch.Tensor, ...]:
        """Windows at equal distances, the same ones every time."""
        starts = np.linspace(0, len(self.validation) - CONTEXT - 1, size).astype(int)
        return _windows(self.validation, starts)


def _windows(symbols: torch.Tensor, starts: np.ndarray) -> tuple[torch.Tensor, ...]:
    windows = torch.stack([symbols[i : i + CONTEXT + 1] for i in starts]).long()
    return windows[:, :-1], windows[:, 1:]


def read_text() -> Text:
    """The sources of FILES; every tenth file is kept for validation."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [path for name in FILES if (path := folder / f"{name}.py").is_file()]
    number = np.full(256, SYMBOLS.index(" "), np.uint8)
    number[[ord(symbol) for symbol in SYMBOLS]] = np.arange(len(SYMBOLS))
    whole = [
        number[np.frombuffer(path.read_text("utf-8").encode("latin-1", "replace"), np.uint8)]
        for path in paths
    ]
    kept = whole[::VALIDATION_EVERY]
    rest = [text for i, text in enumerate(whole) if i % VALIDATION_EVERY]
    return Text(*(torch.from_numpy(np.concatenate(texts)) for texts in (rest, kept)))


class Block(nn.Module):
    """Causal attention, and a network of one hidden layer; each is added to what comes in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, length, width = x.shape
        parts = self.attention(self.before_attention(x)).view(size, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(seen.transpose(1, 2).reshape(size, length, width))
        return x + self.network(self.before_network(x))


class Transformer(nn.Module):
    """Predicts the next character from at most CONTEXT; 614,000 parameters at these sizes."""

    def __init__(self, seed: int = 0, width: int = 128, heads: int = 4, layers: int = 3) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.symbols = nn.Embedding(len(SYMBOLS), width)
        self.places = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.last = nn.LayerNorm(width)
        for name, part in self.named_parameters():
            if part.ndim == 2:
                ends_a_block = name.endswith(("mix.weight", "network.2.weight"))
                nn.init.normal_(part, std=0.02 / (2 * layers) ** 0.5 if ends_a_block else 0.02)

    def forward(self, symbols: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of the characters that follow, in nats."""
        x = self.symbols(symbols) + self.places.weight[: symbols.shape[1]]
        for block in self.blocks:
            x = block(x)
        scores = self.last(x) @ self.symbols.weight.T
        return functional.cross_entropy(scores.flatten(0, 1), following.flatten())
