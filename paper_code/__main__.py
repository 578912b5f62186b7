"""Compress arrays from the command line.

    python -m paper_code compress x.npy --alpha 0.1 -o x.ogc
    python -m paper_code inspect x.ogc
    python -m paper_code decompress x.ogc -o y.npy

A file holds one frame (docs/frame.md), or several one after another: each carries some rows of a
long array, and the error stays below alpha ||x||^2 for each, hence for all. A file is written whole
or not at all.
"""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .coding.bits import FormatError
from .compressors.best_compressor import best_compressor
from .compressors.contract import Compressor
from .messages.message import Header, Message, iterate

PIECE = 1 << 22
"""Coordinates of a frame, or one row where a row is longer."""

_LOG2_DRAWS = 16.0
"""Most expected draws of Spherical Compression for a piece, so that no piece takes seconds."""

FLOATS = ("float16", "float32", "float64")


class Refusal(Exception):
    """What was asked cannot be done; the message is for the user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 if it succeeded, 1 with one line on stderr if not, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (Refusal, FormatError, OSError) as error:
        print(f"paper_code {options.name}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m paper_code",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True)

    compress = commands.add_parser("compress", help="an array of floats (.npy) into frames")
    compress.add_argument(
        "--alpha",
        type=_alpha,
        required=True,
        help="error allowed, ||C(x) - x||^2 <= alpha ||x||^2; 1e-9 <= alpha < 1",
    )
    compress.add_argument("--seed", type=int, help="for schemes that draw; random unless given")
    compress.set_defaults(command=_compress)

    decompress = commands.add_parser("decompress", help="frames back into an array (.npy)")
    decompress.set_defaults(command=_decompress)
    for command in (compress, decompress):
        command.add_argument("-o", "--output", type=Path, required=True)
        command.add_argument("--force", action="store_true", help="replace an existing output")

    inspect = commands.add_parser("inspect", help="what a file of frames holds")
    inspect.set_defaults(command=_inspect)
    for command in (compress, decompress, inspect):
        command.add_argument("input", type=Path)
    return parser


def _alpha(text: str) -> float:
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not 1e-9 <= alpha < 1:
        raise argparse.ArgumentTypeError(f"alpha is {text}; allowed are 1e-9 <= alpha < 1")
    return alpha


def _compress(options: argparse.Namespace) -> None:
    x = _load(options.input)
    rng = np.random.default_rng(options.seed)
    pieces = _pieces(x)
    start = 0
    with _whole_or_nothing(options.output, options.force) as out:
        for done, piece in enumerate(pieces, 1):
            try:
                compressor = best_compressor(
                    piece.size, options.alpha, count="frame", max_log2_draws=_LOG2_DRAWS
                )
                message = compressor.encode(piece, rng)
            except (ValueError, TypeError) as error:
                where = f"from flat index {start} on: " if start else ""
                raise Refusal(f"{options.input}: {where}{error}") from error
            out.write(message.to_bytes())
            start += piece.size
            _progress("compressed", done, len(pieces))


def _load(path: Path) -> NDArray[Any]:
    try:
        x = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Refusal(f"{path} is no .npy file of numbers: {error}") from error
    if not isinstance(x, np.ndarray):
        raise Refusal(f"{path} holds several arrays; allowed is one, as numpy.save writes it")
    if x.dtype.name not in FLOATS:
        raise Refusal(f"{path} holds {x.dtype}; allowed are {', '.join(FLOATS)}")
    if x.size == 0:
        raise Refusal(f"{path} has shape {x.shape}, which is empty")
    return x


def _pieces(x: NDArray[Any]) -> list[NDArray[Any]]:
    """Consecutive rows of at most ``PIECE`` coordinates together, at least one row each."""
    if x.size <= PIECE:
        return [x]
    rows = max(1, PIECE // math.prod(x.shape[1:]))
    return [x[start : start + rows] for start in range(0, len(x), rows)]


def _decompress(options: argparse.Namespace) -> None:
    headers = [message.header for message in _messages(options.input)]
    shape, dtype = _layout(options.input, headers)
    with _whole_or_nothing(options.output, options.force) as out:
        np.lib.format.write_array_header_1_0(
            out,
            {
                "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                "fortran_order": False,
                "shape": shape,
            },
        )
        for done, message in enumerate(_messages(options.input), 1):
            out.write(message.decode().astype(dtype, copy=False).tobytes())
            _progress("decompressed", done, len(headers))


def _layout(path: Path, headers: Sequence[Header]) -> tuple[tuple[int, ...], str]:
    """Shape and element type of the whole array, whose rows the frames of `headers` carry."""
    first = headers[0]
    if any((h.shape[1:], h.dtype) != (first.shape[1:], first.dtype) for h in headers):
        raise Refusal(f"{path} holds frames of different kinds; they are no rows of one array")
    if len(headers) > 1 and not first.shape:
        raise Refusal(f"{path} holds {len(headers)} numbers that are no rows of one array")
    rows = (sum(h.shape[0] for h in headers),) if first.shape else ()
    # NumPy has no bfloat16: its values travel as float32
    dtype = "float32" if first.dtype == "bfloat16" else first.dtype
    return (*rows, *first.shape[1:]), dtype


def _messages(path: Path) -> Iterator[Message]:
    with path.open("rb") as stream:
        empty = True
        try:
            for message in iterate(stream):
                empty = False
                yield message
        except FormatError as error:
            raise Refusal(f"{path}: {error}") from error
    if empty:
        raise Refusal(f"{path} is empty")


def _inspect(options: argparse.Namespace) -> None:
    headers: list[Header] = []
    bits = 0
    compressors: dict[str, int] = {}
    for message in _messages(options.input):
        headers.append(message.header)
        bits += message.bits
        compressor = message.compressor
        assert isinstance(compressor, Compressor)  # as all are that a frame can name
        promise = compressor.guarantee(message.header.d)
        line = f"{compressor}: {promise.kind}, level {promise.level:g}"
        compressors[line] = compressors.get(line, 0) + 1
    shape, dtype = _layout(options.input, headers)
    d, size, count = math.prod(shape), options.input.stat().st_size, len(headers)
    raw = d * np.dtype(dtype).itemsize
    print(f"array       shape {shape}, {dtype}, {d} coordinates, {raw} bytes")
    print(f"file        {size} bytes, {count} {'frame' if count == 1 else 'frames'}")
    print(f"ratio       {raw / size:.2f} times smaller than the array")
    print(f"payload     {bits} bits, {bits / d:.4f} bits a coordinate")
    for line, frames in compressors.items():
        print(f"compressor  {line} ({frames} frames)" if count > 1 else f"compressor  {line}")


@contextmanager
def _whole_or_nothing(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A file that appears at ``path`` only when all was written."""
    if path.exists() and not force:
        raise Refusal(f"{path} exists; --force replaces it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            yield out
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _progress(verb: str, done: int, count: int) -> None:
    """One line on a terminal, where there is more than one frame."""
    if count > 1 and sys.stderr.isatty():
        end = "\n" if done == count else ""
        print(f"\r{verb} {done} of {count} frames", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
