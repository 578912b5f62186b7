"""Frames and what is decoded from them are the same whatever the processor's vectors are."""

import os
import platform
import subprocess
import sys
from pathlib import Path

FRAMES = """
import hashlib
import numpy as np
from paper_code import (
    ConvolutionalCompression, EntropyCodedSparseDithering, SparseDithering, TrellisCompression
)

rng = np.random.default_rng(7)
ours = {
    (1, 2, 7, 33, 64, 65, 1000, 5000, 70_001, 300_000): (
        ConvolutionalCompression(0.6, 64),
        ConvolutionalCompression(0.9, 256, True),
        SparseDithering(0.1, positions="bitmap"),
        EntropyCodedSparseDithering(0.1),
    ),
    (1 << 14, 70_001): (TrellisCompression(0.1, 64), TrellisCompression(0.8, 8, unbiased=True)),
}
for lengths, compressors in ours.items():
    for d in lengths:
        for dtype in ("float32", "float64"):
            x = rng.standard_t(4, d).astype(dtype)
            x *= np.repeat(8.0 ** rng.integers(-3, 1, 1 + d // 256), 256)[:d].astype(dtype)
            for c in compressors:
                message = c.encode(x, np.random.default_rng(1))
                frame, held = message.to_bytes(), message.decode()
                print(d, c, hashlib.sha256(frame).hexdigest(), hashlib.sha256(held).hexdigest())
"""


def test_the_same_frames_for_every_instruction_set() -> None:
    processors = {"generic": ""}
    if platform.machine() == "x86_64":
        processors["haswell"] = "+avx2,+fma,+bmi,+bmi2,+popcnt,+sse4.2"
    chosen = [
        {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
        for name, features in processors.items()
    ]
    found = []
    for settings in [{}, *chosen]:  # this processor first
        environment = os.environ | settings | {"PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", FRAMES]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        found.append(run.stdout)
    assert found[0].count("\n") == 2 * (10 * 4 + 2 * 2)
    assert all(one == found[0] for one in found)
