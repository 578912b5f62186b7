"""Measure the mean payload bits on normal vectors that best_compressor chooses by.

Writes paper_code/compressors/payload_bits.json; takes some six minutes. Every scheme encodes the
same vectors. With --largest, d = 2**20 is measured too, and only printed beside what the table
says of it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from paper_code.compressors.best_compressor import STRICT, TABLE, UNBIASED, expected_bits, reaches

DIMS = (2, 4, 8, 14, 24, 40, 64, 100, 180, 400, 1000, 3000, 10_000, 1 << 17)
ALPHAS = (
    *(0.001, 0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
    *(0.55, 0.62, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995),
)
MOST = 1 << 17  # coordinates in all that a scheme encodes at one d and alpha
MESSAGES = 60  # at most
SEED = 15
SCHEMES = STRICT | UNBIASED


def mean_bits(scheme: str, d: int, alpha: float) -> float | None:
    """Mean payload bits; None where the scheme does not reach d or alpha."""
    if not reaches(scheme, d, alpha):
        return None
    rng = np.random.default_rng([SEED, d])
    xs = rng.standard_normal((min(MESSAGES, -(-MOST // d)), d), dtype=np.float32)
    compressor = SCHEMES[scheme](alpha)
    return round(float(np.mean([compressor.encode(x, rng).bits for x in xs])), 2)


def main() -> None:
    """Measure, and write or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", action="store_true", help="d = 2**20 beside the table")
    if parser.parse_args().largest:
        for scheme in SCHEMES:
            for alpha in (0.02, 0.1, 0.5, 0.55, 0.9, 0.98):
                if bits := mean_bits(scheme, 1 << 20, alpha):
                    table = expected_bits(scheme, 1 << 20, alpha)
                    print(f"{scheme}, alpha {alpha}: {bits:.0f} bits, table {table:.0f}")
        return
    bits = {}
    for scheme in SCHEMES:
        start = time.perf_counter()
        bits[scheme] = [[mean_bits(scheme, d, alpha) for alpha in ALPHAS] for d in DIMS]
        print(f"{scheme}: {time.perf_counter() - start:.0f} s", flush=True)
    rows = ",\n".join(f'"{scheme}": {json.dumps(table)}' for scheme, table in bits.items())
    heads = f'"dims": {json.dumps(DIMS)},\n"alphas": {json.dumps(ALPHAS)}'
    Path(TABLE).write_text(f'{{\n{heads},\n"bits": {{\n{rows}\n}}\n}}\n')


if __name__ == "__main__":
    main()
