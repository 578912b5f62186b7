"""The tables of the paper's two data sets: where they are looked for, and what admits them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

FOLDER_VARIABLE = "PAPER_DATA_DIR"
OFFLINE_VARIABLE = "PAPER_OFFLINE"
SECONDS_PER_MIRROR = 5


class DataUnavailable(LookupError):
    """No source, near or far, holds the data set."""


@dataclass(frozen=True)
class Table:
    """A data set by its content: ``digest`` decides, whatever the file's name, layout or origin.

    The digest is SHA-256 of the values as little-endian float64, row by row, in the order of the
    CSV's columns. LIBSVM's copy puts the label first; ``label_last`` says that the CSV does not.
    """

    name: str
    columns: int
    label_last: bool
    digest: str
    files: tuple[str, ...]
    mirrors: tuple[str, ...]


LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets"

BODYFAT = Table(
    name="bodyfat",
    columns=15,
    label_last=False,
    digest="8338badafa59429e7337017c68daa69155b5ea56faaf7da16ce74b6c8ecc3129",
    files=("bodyfat.csv", "bodyfat", "bodyfat.txt"),
    mirrors=(f"{LIBSVM}/regression/bodyfat", "http://lib.stat.cmu.edu/datasets/bodyfat"),
)
BREAST_CANCER = Table(
    name="breast-cancer",
    columns=11,
    label_last=True,
    digest="c2af1afe7264a2968e722df28f35f1c3f4d7f08ecdef6f84842db154657ca00d",
    files=("breast-cancer-wisconsin.csv", "breast-cancer-wisconsin.data", "breast-cancer"),
    mirrors=(
        f"{LIBSVM}/binary/breast-cancer",
        "https://archive.ics.uci.edu/ml/machine-learning-databases/"
        "breast-cancer-wisconsin/breast-cancer-wisconsin.data",
    ),
)


def find_table(table: Table) -> tuple[NDArray[np.float64], str]:
    """The values of ``table``, shape (rows, columns), and a few words on where they came from.

    Looks into the folder that PAPER_DATA_DIR names, then asks pooch for the mirrors in turn: for
    its cached copies and, unless PAPER_OFFLINE is set, for new ones. Every failure is one line on
    screen; raises DataUnavailable after the last.
    """
    for find in (_in_folder, _from_mirrors):
        for path, origin in find(table):
            values = _read(path, origin, table)
            if values is not None:
                return values, origin
    raise DataUnavailable(
        f"{table.name}: no copy of the data set found; set {FOLDER_VARIABLE} to a folder that "
        f"holds {table.files[0]}"
    )


def parse_table(text: str, table: Table) -> NDArray[np.float64]:
    """The numeric rows of a public copy, shape (rows, columns).

    StatLib separates numbers by blanks after a page of prose, UCI by commas, LIBSVM writes
    `label 1:x 2:y`. Headers, prose and rows with a missing value are left out.
    """
    rows = [row for line in text.splitlines() if (row := _numbers(line, table))]
    return np.array(rows, dtype=np.float64).reshape(-1, table.columns)


def content_digest(values: NDArray[np.float64]) -> str:
    """SHA-256 of the values as little-endian float64 in row-major order."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


@cache
def say(line: str) -> None:
    """Show a line on the error stream, once a process."""
    logging.getLogger("paper_code").warning(line)


def _numbers(line: str, table: Table) -> list[float] | None:
    fields = line.replace(",", " ").split()
    try:
        if ":" in line:
            label, *features = _libsvm_numbers(fields, table.columns)
            row = [*features, label] if table.label_last else [label, *features]
        else:
            row = [float(field) for field in fields]
    except ValueError:
        return None
    return row if len(row) == table.columns else None


def _libsvm_numbers(fields: list[str], columns: int) -> list[float]:
    pairs = dict(field.split(":", 1) for field in fields[1:])
    # LIBSVM leaves zeros out, and one man of Body-Fat has a body fat of zero.
    return [float(fields[0]), *(float(pairs.get(str(i), 0)) for i in range(1, columns))]


def _read(path: Path, origin: str, table: Table) -> NDArray[np.float64] | None:
    """The values in ``path``, None where they are not the table's."""
    try:
        values = parse_table(path.read_text(encoding="utf-8", errors="replace"), table)
    except OSError as error:
        say(f"{table.name}: {origin} cannot be read ({error.strerror})")
        return None
    if content_digest(values) != table.digest:
        say(f"{table.name}: {origin} does not hold the data set (its content digest differs)")
        return None
    return values


def _in_folder(table: Table) -> Iterator[tuple[Path, str]]:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    names = [name for name in table.files if (Path(folder) / name).exists()]
    if not names:
        say(f"{table.name}: {FOLDER_VARIABLE}={folder} holds none of {', '.join(table.files)}")
    for name in names:
        yield Path(folder) / name, f"{name} in {FOLDER_VARIABLE}"


def _from_mirrors(table: Table) -> Iterator[tuple[Path, str]]:
    """Copies that pooch has or fetches; those already on disk first, a refused one is deleted."""
    if not find_spec("pooch"):
        say("pooch, which downloads the data sets, is not installed")
        return
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    downloader = pooch.HTTPDownloader(timeout=SECONDS_PER_MIRROR)
    cached = {url: cache_folder() / f"{table.name}-{urlsplit(url).netloc}" for url in table.mirrors}
    for url, path in sorted(cached.items(), key=lambda each: not each[1].exists()):
        if path.exists():
            yield path, f"the cached copy of {url}"
            path.unlink()  # asked for another: this one was refused
        if os.environ.get(OFFLINE_VARIABLE):
            continue
        try:
            pooch.retrieve(url, None, path.name, path.parent, downloader=downloader)
        except (OSError, ValueError) as error:
            say(f"could not fetch {url} ({type(error).__name__})")
            continue
        yield path, url
        path.unlink()


def cache_folder() -> Path:
    """The folder of downloaded copies, one for each user of the machine."""
    import pooch

    return Path(pooch.os_cache("paper-code"))
