"""Time and memory of encoding and decoding; all schemes in turns, so that they meet one load."""

from __future__ import annotations

import math
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from paper_code.evaluation.measure import distortion

from .schemes import Scheme, Vector

_ENOUGH = 3e-4  # seconds of one reading: so many calls are timed together
_BUDGET = 2.0  # seconds after which a scheme is not timed again in one cell
Row = dict[str, Any]


def seconds(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Seconds a call."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls


def peak_memory(call: Callable[[], object]) -> int:
    """Most bytes that Python and NumPy hold during a call beyond those before, result included."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before


def properties(scheme: Scheme, x: Vector) -> Row:
    """Bits, error, gap to the bound and memory of one message; the reason where it is refused."""
    try:
        packet = scheme.encode(x)
    except ValueError as refusal:
        return {"scheme": scheme.name, "family": scheme.family, "refused": str(refusal)}
    bits, error = scheme.bits(packet) / x.size, distortion(x, scheme.decode(packet))
    return {
        "scheme": scheme.name,
        "family": scheme.family,
        "bits": bits,
        "error": error,
        "gap": bits + 0.5 * math.log2(error) if error else None,
        "encode_memory": peak_memory(lambda: scheme.encode(x)) / x.nbytes,
        "decode_memory": peak_memory(lambda: scheme.decode(packet)) / x.nbytes,
    }


def in_turns(schemes: Sequence[Scheme], x: Vector, rounds: int) -> dict[str, list[list[float]]]:
    """[encode, decode] seconds of processor time of every scheme in every round it took part in."""
    found: dict[str, list[list[float]]] = {scheme.name: [] for scheme in schemes}
    packets = {scheme.name: scheme.encode(x) for scheme in schemes}
    calls = {
        scheme.name: [
            math.ceil(_ENOUGH / max(seconds(call, 1, time.thread_time), 1e-7))
            for call in _calls(scheme, x, packets)
        ]
        for scheme in schemes
    }
    for _ in range(rounds):
        for scheme in schemes:
            times = found[scheme.name]
            if sum(map(sum, times)) > _BUDGET:
                continue
            both = zip(_calls(scheme, x, packets), calls[scheme.name], strict=True)
            times.append([seconds(call, count, time.thread_time) for call, count in both])
    return found


def _calls(scheme: Scheme, x: Vector, packets: dict[str, Any]) -> list[Callable[[], object]]:
    return [lambda: scheme.encode(x), lambda: scheme.decode(packets[scheme.name])]


def speeds(times: list[list[float]], reference: list[list[float]], x: Vector) -> Row:
    """MB/s of input (median and quartiles) and the median ratio to the reference's rounds."""
    row: Row = {"rounds": len(times)}
    for i, name in enumerate(("encode", "decode")):
        rates = np.array([x.nbytes / 1e6 / both[i] for both in times])
        low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75])
        row[name] = float(middle)
        row[f"{name}_quartiles"] = [float(low), float(high)]
        pairs = zip(times, reference, strict=False)
        row[f"{name}_ratio"] = statistics.median(peer[i] / own[i] for own, peer in pairs)
    return row


def by_wall_clock(scheme: Scheme, x: Vector, threads: int, rounds: int) -> Row:
    """MB/s by the wall clock: one message, and one for each thread side by side."""
    row: Row = {"scheme": scheme.name, "threads": threads}
    packet = scheme.encode(x)
    calls = {"encode": lambda _: scheme.encode(x), "decode": lambda _: scheme.decode(packet)}
    ways = {"alone": 1, "together": threads}
    with ThreadPoolExecutor(threads) as pool:
        for name, call in calls.items():
            times: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds + 1):
                for way, messages in ways.items():
                    work = range(messages)
                    run = partial(lambda call, work: list(pool.map(call, work)), call, work)
                    times[way].append(seconds(run, 1, time.perf_counter))
            for way, messages in ways.items():
                median = statistics.median(times[way][1:])  # the first one starts the threads
                row[f"{name}_{way}"] = messages * x.nbytes / 1e6 / median
    return row
