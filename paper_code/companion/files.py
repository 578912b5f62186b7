"""Where the project's files lie, and how they are written: whole, or not at all."""

import os
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT_VARIABLE = "PAPER_OUTPUT_DIR"


def project() -> Path:
    """The root of the project's repository; raises RuntimeError where only the package is."""
    if not (ROOT / "data" / "claims.toml").is_file():
        raise RuntimeError(
            "claims and figures belong to the project's repository (notebooks, data, figures), but "
            f"paper_code is installed in {ROOT} without it; run `pip install -e .` in a checkout"
        )
    return ROOT


def shown(path: Path) -> str:
    """`path` as seen from the project's root, for messages."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def output_dir() -> Path:
    """The folder that holds `data/results` and `figures`: `PAPER_OUTPUT_DIR`, else the project.

    A quick or tweaked run names a folder under `build/` here, so that it never touches the
    committed results. A relative name counts from the project's root.
    """
    return ROOT / os.environ.get(OUTPUT_VARIABLE, "")


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path` so that no reader ever sees a part of it.

    The bytes go to a temporary file in the same folder, made if missing, which then replaces
    `path` in one step; an interruption or a full disk leaves the old file as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
