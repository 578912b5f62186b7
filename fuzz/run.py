"""Fuzz the decoder: python fuzz/run.py raw|repaired --seconds 60 (or --runs 1000000)

Needs atheris (`make fuzz` installs it). Starts from the golden frames; an input that breaks a
promise, takes more than a second or more than 512 MiB is left in build/fuzz and ends the run.
"""

import argparse
import contextlib
import hashlib
import inspect
import itertools
import sys
import types
from pathlib import Path

import atheris
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 2048
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import golden_frames  # noqa: E402 - the project need not be installed
import targets  # noqa: E402
from targets import MAX_DIM  # noqa: E402

from paper_code import FormatError, Message, TrellisCompression  # noqa: E402


def seeds(only: str | None) -> list[bytes]:
    """Golden frames, and some of more coordinates: together they compile every kernel.

    ``only`` keeps those of the compressor of that name.
    """
    frames = [bytes.fromhex(kept["frame"]) for kept in golden_frames.load_all()]
    rng = np.random.default_rng(0)
    for alpha in (0.5, 0.9, 0.98):  # as many coordinates as the fuzzer allows
        frames.append(TrellisCompression(alpha).encode(rng.standard_normal(MAX_DIM)).to_bytes())
    columns = np.sort(np.random.default_rng(0).standard_normal(MAX_DIM)).reshape(512, -1).T
    for states in (8, 64):  # a long vector in another way
        frames.append(TrellisCompression(0.9, states).encode(columns.ravel()).to_bytes())
    cells = np.repeat(16.0 ** np.random.default_rng(0).integers(-2, 1, 1 + MAX_DIM // 64), 64)
    frames.append(
        TrellisCompression(0.1).encode(rng.standard_normal(MAX_DIM) * cells[:MAX_DIM]).to_bytes()
    )
    for compressor in golden_frames.COMPRESSORS:
        for d, dtype in itertools.product((1, 100, 10_007), ("float16", "float32", "float64")):
            x = rng.standard_normal(d).astype(dtype)
            with contextlib.suppress(ValueError):  # k above d, or too much work
                frames.append(compressor.encode(x, rng).to_bytes())
    names = [type(Message.from_bytes(frame).compressor).__name__ for frame in frames]
    return [frame for frame, name in zip(frames, names, strict=True) if only in (None, name)]


def instrument() -> None:
    """Count branches in the Python code of the library; numba's machine code stays as it is.

    Not in ``bounds``: atheris never frees what came of comparing arrays, which is done there.
    """
    modules = [module for name, module in sys.modules.items() if name.startswith("paper_code")]
    classes = {
        kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)
    }
    for owner in [*modules, *classes]:
        for member in list(vars(owner).values()):
            function = getattr(member, "fget", member)  # what is behind a property
            if isinstance(function, types.FunctionType) and is_traced(function.__module__):
                atheris.instrument_func(function)


def is_traced(module: str) -> bool:
    return module.startswith("paper_code.") and not module.startswith("paper_code.bounds")


class Mutator:
    """Three times in four changes the payload alone and declares its new length.

    Otherwise hardly an input would get past its header; what does not is often dropped for a
    golden frame.
    """

    def __init__(self, frames: list[bytes]) -> None:
        self._messages = [Message.from_bytes(targets.repair(frame)) for frame in frames]

    def __call__(self, body: bytes, max_size: int, seed: int) -> bytes:
        choice, seed = seed % 4, seed // 4
        if choice == 0:
            return atheris.Mutate(body, max_size)
        try:
            message = Message.from_bytes(targets.repair(body), targets.MAX_DIM)
        except FormatError:
            if choice == 1:
                return atheris.Mutate(body, max_size)
            message = self._messages[seed % len(self._messages)]
        changed = self._with_another_payload(message, seed)
        return changed if len(changed) <= max_size else atheris.Mutate(body, max_size)

    @staticmethod
    def _with_another_payload(message: Message, seed: int) -> bytes:
        payload = bytearray(atheris.Mutate(message.payload, len(message.payload) + 16))
        padding = seed % 8 if len(payload) != len(message.payload) else -message.bits % 8
        if payload:
            payload[-1] &= 0xFF << padding
        bits = max(0, 8 * len(payload) - padding)
        changed = Message(message.compressor, message.header, bytes(payload), bits)
        return changed.to_bytes()[:-4]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=["raw", "repaired"])
    parser.add_argument("--seconds", type=int, default=0, help="0: no limit")
    parser.add_argument("--runs", type=int, default=-1, help="-1: no limit")
    parser.add_argument("--only", metavar="NAME", help="the compressor to begin with: a class")
    options = parser.parse_args()
    test = getattr(targets, options.target)
    folder = ROOT / "build" / "fuzz" / (options.only or "all") / options.target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    frames = seeds(options.only)
    if not frames:
        parser.error(f"--only is {options.only!r}; allowed are the names of compressors' classes")
    if options.target == "repaired":
        frames = [frame[:-4] for frame in frames]
    for data in frames:
        test(data)  # later on, compiling would look like a hang
        if len(data) <= LONGEST:
            (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    instrument()
    limits = [
        f"-max_len={LONGEST}",
        "-timeout=1",
        "-rss_limit_mb=512",
        "-mutate_depth=1",
        f"-artifact_prefix={folder}/",
    ]
    budget = [f"-max_total_time={options.seconds}", f"-runs={options.runs}"]
    arguments = [sys.argv[0], *limits, *budget, "-print_final_stats=1", str(corpus)]
    custom = {"custom_mutator": Mutator(frames)} if options.target == "repaired" else {}
    atheris.Setup(arguments, test, **custom)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
