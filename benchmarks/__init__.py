"""Speed, memory, bits and error of every compressor, beside packages that do the same work."""

import os

for _library in ("OMP", "OPENBLAS", "MKL"):  # before NumPy is imported: one thread is timed
    os.environ[f"{_library}_NUM_THREADS"] = "1"
