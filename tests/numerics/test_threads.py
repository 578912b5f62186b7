"""Threads share out the work of one message and never change it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import paper_code as pc
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.numerics import norms, threads

CHUNK = 1 << 16  # so short here, that the vectors may be
D = 3 * CHUNK + 5
COMPRESSORS = [
    *(pc.SparseDithering(0.1, u, p) for u in (False, True) for p in ("subset", "bitmap")),
    pc.SparseDithering(1e-4, positions="bitmap"),
    pc.EntropyCodedSparseDithering(0.1),
    pc.Identity(),
    pc.NaturalCompression(),
    pc.NaturalDithering(4),
    pc.RandK(D // 50),
    pc.RandomDithering(300),
    pc.RotatedSign(),
    pc.ScaledSign(),
    pc.SubtractiveDithering(0.25),
    pc.Ternary(),
    pc.TopK(D // 50),
    pc.TrellisCompression(0.3),
]


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "CHUNK", CHUNK)
    yield
    pc.set_threads(1)


def frame(compressor: pc.Compressor, x: np.ndarray) -> bytes:
    return compressor.encode(x, np.random.default_rng(1)).to_bytes()


@pytest.mark.parametrize("compressor", COMPRESSORS, ids=str)
def test_frames_and_values_are_the_same_on_any_number(compressor: pc.Compressor) -> None:
    x = np.random.default_rng(0).standard_t(3, D).astype(np.float32)
    data = frame(compressor, x)
    values = pc.decode(data)
    for count in (2, 3, 7):
        pc.set_threads(count)
        assert frame(compressor, x) == data
        assert np.array_equal(pc.decode(data), values)


@pytest.mark.parametrize("empty", [slice(0, D), slice(0, D // 2), slice(D // 2, D)])
def test_chunks_without_a_level(empty: slice) -> None:
    x = np.random.default_rng(0).standard_normal(D)
    x[empty] = 0
    x[-1] = 5
    compressor = pc.SparseDithering(0.1, positions="bitmap")
    data = frame(compressor, x)
    pc.set_threads(3)
    assert frame(compressor, x) == data
    assert np.array_equal(pc.decode(data), compressor(x))


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("size", [0, 1, CHUNK, 2 * CHUNK, D, 100 * CHUNK])
def test_chunks_cover_a_vector_once_in_whole_trees_and_words(size: int, count: int) -> None:
    pc.set_threads(count)
    parts = threads.chunks(size)
    assert len(parts) <= count
    assert [0, *(part.stop for part in parts)] == [*(part.start for part in parts), size]
    assert all(part.start % norms.TREE == part.start % 64 == 0 for part in parts)


def test_damage_is_found_in_any_chunk() -> None:
    message = pc.SparseDithering(0.1, positions="bitmap").encode(np.ones(D))
    flipped = bytearray(message.payload)
    flipped[31 // 8 + D // 16] ^= 1  # a coordinate that the mask leaves out: one sign too many
    pc.set_threads(3)
    with pytest.raises(pc.FormatError):
        pc.Message(message.compressor, message.header, bytes(flipped), message.bits).decode()


def test_joined_bits_at_every_offset() -> None:
    levels = np.random.default_rng(0).integers(-3, 4, D).astype(np.int8)
    for offset in (0, 1, 31, 63):
        writers = []
        for count in (1, 3):
            pc.set_threads(count)
            writer = BitWriter()
            writer.write_uint(0, offset)
            writer.write_mask(levels)
            writer.write_signs(levels)
            writers.append(writer)
        assert writers[0].bits == writers[1].bits
        assert writers[0].getvalue() == writers[1].getvalue()
        reader = BitReader(writer.getvalue(), writer.bits)
        reader.take(offset)
        assert np.array_equal(reader.read_mask(D), levels != 0)


def test_messages_side_by_side_may_have_threads_each() -> None:
    x = np.random.default_rng(0).standard_normal(D)
    compressor = pc.SparseDithering(0.1, positions="bitmap")
    data = frame(compressor, x)
    pc.set_threads(2)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: frame(compressor, x), range(8))) == {data}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    """Its parent's do not live in it: waiting for them would never end."""
    x = np.random.default_rng(0).standard_normal(D)
    compressor = pc.SparseDithering(0.1, positions="bitmap")
    pc.set_threads(2)
    data = frame(compressor, x)
    child = os.fork()
    if not child:
        os._exit(0 if frame(compressor, x) == data else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("count", [0, -1])
def test_no_threads_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"count is {count}; allowed are integers from 1"):
        pc.set_threads(count)
    assert pc.get_threads() == 1


@pytest.mark.parametrize("count", ["2", 2.5, None, True, np.float64(2)])
def test_what_is_no_number_of_threads_is_refused(count: object) -> None:
    with pytest.raises(TypeError, match="allowed are integers from 1 to 1024"):
        pc.set_threads(count)


def test_the_work_is_really_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the loops meets three chunks, the first of them here."""
    met: list[tuple[int, str]] = []
    honest = threads.share_out

    def share_out(work: Callable, items: Sequence) -> list:
        def watched(item: object) -> object:
            met.append((len(items), threading.current_thread().name))
            return work(item)

        return honest(watched, items)

    monkeypatch.setattr(threads, "share_out", share_out)
    x = np.random.default_rng(0).standard_normal(D)
    pc.set_threads(3)
    pc.SparseDithering(0.1, positions="bitmap")(x)
    # two peaks, norm, rounding, count, mask, signs, unary; counts, values, peak of the decoder
    assert len(met) == 11 * 3
    assert {count for count, _ in met} == {3}
    here = [name for _, name in met if not name.startswith("paper_code")]
    assert here == [threading.current_thread().name] * 11


def test_the_last_messages_of_a_process_are_made_on_one_thread() -> None:
    """No thread starts once the interpreter is ending."""
    program = (
        "import atexit, numpy as np, paper_code as pc; pc.set_threads(2);"
        "x = np.ones(1 << 20); c = pc.SparseDithering(0.1, positions='bitmap');"
        "atexit.register(lambda: print(c.encode(x).bits))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    expected = pc.SparseDithering(0.1, positions="bitmap").encode(np.ones(1 << 20)).bits
    assert int(done.stdout) == expected
