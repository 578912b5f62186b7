"""Search for good convolutional codes, and write the table that the library has of them.

    python scripts/search_generators.py [states ...]

For each number of states: the first eight generators one after the other, each the best of many
random ones for steps that end with it, by the error on one sample of normal numbers; the others
(up to 64) are random, as longer steps leave nothing to gain. Then the correlation with a normal
coordinate is measured for steps of 1 to 64 rows. The table is a wire format: frames are decoded
with it, so that rewriting it with other generators takes a new wire identifier. Five minutes.
"""

from __future__ import annotations

import json
import math
import sys
from functools import cache

import numpy as np

from paper_code.companion.files import atomic_write
from paper_code.compressors.convolutional.codes import (
    CLASSES,
    CORRELATION,
    FILE,
    GENERATORS,
    LONGEST,
    class_of,
    step_begins,
)
from paper_code.compressors.convolutional.viterbi import Search, plan
from paper_code.numerics.simd import LANES

STATES = [1 << nu for nu in range(6, 15)]
ROWS = 200_000
AMPLITUDE = 32
TRIED = 2_000_000  # states of all codes that are tried for two rows
NODES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)  # rows of a step that are measured

Code = tuple[int, ...]


@cache
def sample(amplitude: float) -> tuple[np.ndarray, float]:
    """200,000 rows of 64 normal numbers as the search takes them, and their standard deviation."""
    x = amplitude * np.random.default_rng(2026).standard_normal(ROWS * LANES, dtype=np.float32)
    x = np.clip(np.rint(x), -5 * amplitude, 5 * amplitude).astype(np.int16)
    return x, float(np.std(x, dtype=np.float64))


def error(code: Code, size: int, steps: int) -> float:
    """1 - correlation^2 of steps of ``size`` rows, without those at the beginning."""
    x, deviation = sample(AMPLITUDE / math.sqrt(max(size, 16) / 16))
    search, start = Search(code, size, 64 + steps), 64 * size
    end = start + steps * size
    search.advance(x[: start * LANES], step_begins(start, 64))
    before = search.total.sum()
    search.advance(x[start * LANES : end * LANES], step_begins(end - start, steps))
    gained = float(search.total.sum() - before) / deviation
    return 1 - (gained / ((end - start) * LANES)) ** 2


def random_generator(nu: int, kind: int, rng: np.random.Generator) -> int:
    """Both end taps, the three of its class, and random ones between."""
    middle = int(rng.integers(1 << nu - 4))
    return 1 | (kind & 1) << 1 | middle << 2 | (kind >> 1) << nu - 2 | 1 << nu


def search_code(states: int) -> Code:
    """The 64 generators of one number of states."""
    nu = states.bit_length() - 1
    rng, tries = np.random.default_rng(states), min(8000, TRIED // states)
    code = best_pair(nu, rng, tries)
    for size in range(3, CLASSES + 1):
        free = [kind for kind in range(CLASSES) if kind not in map(class_of, code)]
        each = range(tries // 4 // len(free) + 1)
        found = {(*code, random_generator(nu, kind, rng)) for kind in free for _ in each}
        code = best(found, size)
        print(f"  {size} rows: {error(code, size, 1024):.5f}", flush=True)
    for j in range(CLASSES, LONGEST):
        code = (*code, random_generator(nu, j % CLASSES, rng))
    return code


def best_pair(nu: int, rng: np.random.Generator, tries: int) -> Code:
    """Two generators of different classes."""
    found = set()
    for _ in range(tries):
        first, second = rng.permutation(CLASSES)[:2]
        found.add((random_generator(nu, int(first), rng), random_generator(nu, int(second), rng)))
    code = best(found, 2)
    print(f"  2 rows: {error(code, 2, 2048):.5f}", flush=True)
    return code


def best(codes: set[Code], size: int) -> Code:
    """The best of many: on a short sample, then the best 16 on a longer one."""
    short = sorted(codes, key=lambda code: (error(code, size, 256), code))
    plan.cache_clear()
    return min(short[:16], key=lambda code: (error(code, size, 1024), code))


def correlations(code: Code) -> tuple[int, ...]:
    """For steps of 1 to 64 rows, in units of 1e-5.

    Between the sizes measured, the rate over that of the bound is linear in 1 / rows.
    """
    waste = []
    for size in NODES:
        found = error(code, size, min(ROWS // size - 64, 2048))
        waste.append(1 / size / (0.5 * math.log2(1 / found)))
    rows = np.arange(1, LONGEST + 1)
    over = np.interp(-1 / rows, -1 / np.array(NODES), waste)
    return tuple(np.round(1e5 * np.sqrt(1 - 2.0 ** (-2 / (rows * over)))).astype(int).tolist())


def written(table: dict[int, tuple[int, ...]]) -> str:
    """A table as JSON, a line for each number of states."""
    lines = (f'  "{states}": {json.dumps(numbers)}' for states, numbers in sorted(table.items()))
    return "{\n" + ",\n".join(lines) + "\n }"


def main() -> None:
    """Search, measure, write."""
    chosen = [int(word) for word in sys.argv[1:]] or STATES
    for states in chosen:
        print(f"{states} states", flush=True)
        code = search_code(states)
        GENERATORS[states] = code
        CORRELATION[states] = correlations(code)
        print("  ", CORRELATION[states], flush=True)
        both = f'"generators": {written(GENERATORS)},\n "correlation": {written(CORRELATION)}'
        atomic_write(FILE, "{\n " + both + "\n}\n")


if __name__ == "__main__":
    main()
