"""Threads share out the work of one message and never change it."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import paper_code as pc
from paper_code import kernels, threads
from paper_code.bits import BitReader, BitWriter

D = 3 * threads.CHUNK + 5
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
def one_thread_again() -> Iterator[None]:
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
@pytest.mark.parametrize("size", [0, 1, threads.CHUNK, 2 * threads.CHUNK, D, 100 * threads.CHUNK])
def test_chunks_cover_a_vector_once_in_whole_trees_and_words(size: int, count: int) -> None:
    pc.set_threads(count)
    parts = threads.chunks(size)
    assert len(parts) <= count
    assert [0, *(part.stop for part in parts)] == [*(part.start for part in parts), size]
    assert all(part.start % kernels.TREE == part.start % 64 == 0 for part in parts)


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
    with pytest.raises(ValueError, match=f"count is {count}; at least 1"):
        pc.set_threads(count)
    assert pc.get_threads() == 1
