"""Golden frames: bytes that must decode to the same values for ever.

`python tests/golden_frames.py` adds the frames that are missing for `COMPRESSORS`. It only ever
adds: where a recorded frame decodes to anything else, the format has changed, and that needs a new
`VERSION` in `paper_code/messages/message.py`.

Each line of `tests/golden/v1/<class>.jsonl` is a frame in hexadecimal, what was encoded, and what
it decodes to: element type, shape, and the values that are not zero, by their flat index.
"""

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from laws_cases import CASES

from paper_code import (
    Compressor,
    EntropyCodedSparseDithering,
    SphericalCompression,
    SubtractiveDithering,
    TrellisCompression,
    decode,
)
from paper_code.companion import files
from paper_code.messages.message import VERSION, parse

FOLDER = Path(__file__).parent / "golden"
COMPRESSORS: list[Compressor] = [
    *CASES,
    SphericalCompression(alpha=0.2),
    SphericalCompression(alpha=0.1, unbiased=True),  # at d = 12 from the pool
    EntropyCodedSparseDithering(alpha=0.1),
    SubtractiveDithering(omega=0.25),
    TrellisCompression(alpha=0.1, states=8),
    TrellisCompression(alpha=0.05, states=32, unbiased=True),
    TrellisCompression(alpha=0.1, states=8, search="fast"),
]
LONGEST = 256
"""Bytes of a golden frame: each of its bits is flipped in the tests."""


def inputs() -> dict[str, Any]:
    """Every element type, shape and range that a header can tell, and a long sparse vector."""
    import torch  # for bfloat16, which NumPy does not know

    rng = np.random.default_rng(2026)
    x = rng.standard_normal(12)
    long = np.zeros(10_007, np.float32)
    long[[3, 5000, 10_006]] = 1, -2, 1.5
    return {
        "float32": x.astype(np.float32),
        "float64, two dimensions": x.reshape(3, 4),
        "float16": x.astype(np.float16),
        "bfloat16": torch.tensor(x).to(torch.bfloat16),
        "zeros": np.zeros(12, np.float32),
        "one number, no dimension": np.float64(-2.5),
        "huge": (x * 1e30).astype(np.float32),
        "tiny": x * 1e-250,
        "long and sparse": long,
    }


def encode(compressor: Compressor, name: str) -> bytes | None:
    """The frame of that input today; None where it is refused or too long to keep."""
    seed = zlib.crc32(f"{compressor} {name}".encode())
    try:
        frame = compressor.encode(inputs()[name], np.random.default_rng(seed)).to_bytes()
    except ValueError:  # k above d, say
        return None
    return frame if len(frame) <= LONGEST else None


def record(compressor: Compressor, name: str, frame: bytes) -> dict[str, Any]:
    """What is kept of a frame, as JSON can say it."""
    held = decode(frame)
    flat = held.reshape(-1)
    return {
        "compressor": repr(compressor),
        "input": name,
        "frame": frame.hex(),
        "dtype": held.dtype.name,
        "shape": list(held.shape),
        "nonzero": {str(i): float(flat[i]) for i in np.flatnonzero(flat)},
    }


def values(kept: dict[str, Any]) -> np.ndarray:
    """The array that a record says."""
    held = np.zeros(kept["shape"], kept["dtype"])
    for i, value in kept["nonzero"].items():
        held.reshape(-1)[int(i)] = value
    return held


def differs(kept: dict[str, Any]) -> str | None:
    """How decoding a recorded frame differs from what it has been; None if it does not.

    Values that a shared random stream goes into may differ in their last places between machines,
    whose logarithms and cosines do.
    """
    frame, wanted = bytes.fromhex(kept["frame"]), values(kept)
    try:
        held = decode(frame)
    except ValueError as error:
        return f"it is refused: {error}"
    if (held.dtype, held.shape) != (wanted.dtype, wanted.shape):
        return f"it is {held.dtype} {held.shape}, no longer {wanted.dtype} {wanted.shape}"
    scale = float(np.max(np.abs(wanted))) or 1.0
    error = np.max(np.abs(held.astype(np.float64) / scale - wanted.astype(np.float64) / scale))
    allowed = 64 * np.finfo(held.dtype).eps if has_stream(frame) else 0.0
    return f"it is off by {error:.1e} of its largest value" if error > allowed else None


def has_stream(frame: bytes) -> bool:
    """Whether the frame carries the nonce of a shared random stream."""
    return parse(frame).header.nonce is not None


def load(path: Path) -> list[dict[str, Any]]:
    """The records of one file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def load_all() -> Iterator[dict[str, Any]]:
    """The records of every version there has been."""
    for path in sorted(FOLDER.glob("v*/*.jsonl")):
        yield from load(path)


def missing() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Records of frames that the compressors write today and that are not kept yet."""
    for compressor in dict.fromkeys(COMPRESSORS):
        path = FOLDER / f"v{VERSION}" / f"{type(compressor).__name__}.jsonl"
        known = {kept["frame"] for kept in load(path)} if path.exists() else set()
        for name in inputs():
            frame = encode(compressor, name)
            if frame and frame.hex() not in known:
                yield path, record(compressor, name, frame)


def main() -> int:
    """Add what is missing, unless something that is kept has changed."""
    for kept in load_all():
        if difference := differs(kept):
            print(f"{kept['compressor']}, {kept['input']}: {difference}. Give frame.VERSION a new")
            print("number and keep reading the old one, or undo the change.")
            return 1
    added: dict[Path, list[str]] = {}
    for path, new in missing():
        added.setdefault(path, []).append(json.dumps(new) + "\n")
    for path, lines in added.items():
        before = path.read_text() if path.exists() else ""
        files.atomic_write(path, before + "".join(lines))
        print(f"{path.relative_to(files.ROOT)}: {len(lines)} frames added")
    return 0


if __name__ == "__main__":
    sys.exit(main())
