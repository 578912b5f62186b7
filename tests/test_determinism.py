"""The same input, settings and generator give the same bytes in every process."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

FRAMES = """
import hashlib
import numpy as np
from golden_frames import COMPRESSORS

rng = np.random.default_rng(7)
for dtype, d in (("float32", 1000), ("float64", 33), ("float32", 12)):
    x = rng.standard_normal(d).astype(dtype)
    for c in COMPRESSORS:
        try:
            frame = c.encode(x, np.random.default_rng(1)).to_bytes()
        except ValueError as error:
            frame = str(error).encode()
        print(c, d, hashlib.sha256(frame).hexdigest())
"""


def start(threads: int, hash_seed: int) -> subprocess.Popen:
    counts = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    environment = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in counts}
    environment |= {"PYTHONHASHSEED": str(hash_seed)}
    environment |= {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    command = [sys.executable, "-c", FRAMES]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_bytes_depend_on_no_thread_count_and_no_hash_seed() -> None:
    runs = [start(threads=1, hash_seed=0), start(threads=4, hash_seed=12345)]
    first, second = (run.communicate()[0].splitlines() for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert len(first) > 20
    assert first == second
