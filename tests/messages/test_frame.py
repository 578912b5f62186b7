"""Frame v1: its bytes as the documentation tells them, and a refusal by name of all else."""

import re
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from paper_code import (
    FormatError,
    Identity,
    Message,
    SparseDithering,
    SphericalCompression,
    decode,
)
from paper_code.coding import codes, subset
from paper_code.coding.bits import BitReader, BitWriter
from paper_code.messages.byte_reader import varint
from paper_code.messages.message import Header

ROOT = Path(__file__).parents[2]
X = np.array([3, -4, 0.1, 0], np.float32)


def seal(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def frame(
    start: str = "d567 01 12",
    shape: str = "04",
    scheme: str = "00",
    payload: str = "8001" + "00" * 16,
) -> bytes:
    """A frame of Identity() for four float32 numbers, in hexadecimal parts to be changed."""
    return seal(bytes.fromhex(start + shape + scheme + payload))


def reader_of(writer: BitWriter) -> BitReader:
    return BitReader(writer.getvalue(), writer.bits)


def example(table: str) -> list[str]:
    """The first column of a table of the worked example."""
    text = (ROOT / "docs" / "frame.md").read_text().split(f"| {table} |")[1].split("\n\n")[0]
    return ["".join(re.findall("`(.*?)`", row.split("|")[1])) for row in text.splitlines()[2:]]


def test_the_documented_example_is_what_is_written() -> None:
    message = SparseDithering(nu=0.1).encode(X)
    assert bytes.fromhex("".join(example("bytes | field | value"))) == message.to_bytes()
    bits = "".join(f"{byte:08b}" for byte in message.payload)[: message.bits]
    assert "".join(example("bits | part | value")) == bits
    assert decode(message.to_bytes()).tolist() == pytest.approx([3.16291, -4.7443647, 0, 0])


def test_overhead_is_at_most_24_bytes() -> None:
    for d in (1, 100, 10_000):
        x = np.random.default_rng(d).standard_normal(d).astype(np.float32)
        message = SparseDithering(nu=0.1).encode(x)
        assert len(message.to_bytes()) - len(message.payload) <= 24


def test_the_handmade_frame_is_valid() -> None:
    assert frame() == Identity().encode(np.zeros(4, np.float32)).to_bytes()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "frame ends early: 2 of 2 bytes are missing"),
        (frame("d568 01 12"), "magic is d568, not d567"),
        (frame("d567 02 12"), "version 2 is unknown"),
        (frame("d567 01 1a"), "reserved flag"),
        (frame(scheme="7f"), "unknown compressor 127; known are"),
        (frame()[:-1] + b"\0", "CRC-32 does not match"),
        (frame() + b"\0", "1 bytes trail the frame"),
        (frame(shape="00"), "has 0 coordinates"),
        (frame(shape="8400"), "not in its shortest form"),
        (frame(shape="ff" * 9 + "02"), "longer than 64 bits"),
        (frame("d567 01 f2", "ff" * 9 + "01"), "shortest form|coordinates"),
        (frame("d567 01 16", "04 4000"), "exponent 64 is not one"),  # Identity takes none out
        (frame("d567 01 16", "04 4000", "01" + "00" * 10), "settings of SparseDithering"),
        (frame(payload="800100" + "00" * 16), "CRC-32|trail"),
        (frame(payload="ffffffffff7f"), "bits; allowed are"),
        (frame(payload="7f" + "00" * 16), "payload ends: 128 bits wanted, 127 left"),
        (frame(payload="8101" + "00" * 17), "1 bits are left"),
        (frame(payload="8101" + "00" * 16 + "01"), "padding bits after the payload are not zero"),
        (frame(payload="8001" + "00" * 12 + "7f800000"), "not finite"),
    ],
)
def test_each_refusal_says_what_is_wrong(data: bytes, named: str) -> None:
    with pytest.raises(FormatError, match=named):
        decode(data)


@pytest.mark.parametrize("exponent", [0, 60, -60, 129, -149, 3000])
def test_an_exponent_that_no_array_needs_is_refused(exponent: int) -> None:
    header = Header((4,), "float32", exponent)
    message = Message(SparseDithering(0.1), header, bytes(4), 31)
    data = bytearray(message.to_bytes())
    if not exponent:
        data[3] |= 4
        data[5:5] = bytes(2)
    with pytest.raises(FormatError, match=f"exponent {exponent} is not one"):
        decode(seal(bytes(data[:-4])))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_value_that_overflows_is_refused_without_a_warning(dtype: str) -> None:
    writer = BitWriter()
    codes.write_positive_float(writer, float(np.finfo(np.float32).max))
    writer.write_mask(np.array([1, 0]))
    writer.write_signs(np.array([1]))
    codes.write_unary(writer, np.array([2]))
    header = Header((2,), dtype, 1024 if dtype == "float64" else 0)
    c = SparseDithering(0.1, positions="bitmap")
    message = Message(c, header, writer.getvalue(), writer.bits)
    with np.errstate(all="raise"), pytest.raises(FormatError, match=f"overflows {dtype}"):
        decode(message.to_bytes())


def sparse_dithering_payload(write: Callable[[BitWriter], None]) -> bytes:
    writer = BitWriter()
    write(writer)
    header = Header((4,), "float32")
    return Message(SparseDithering(0.1), header, writer.getvalue(), writer.bits).to_bytes()


@pytest.mark.parametrize(
    ("bits", "named"),
    [
        ("0" * 31 + "1", "1 bits are left"),  # gamma = 0 says that all is said
        ("0111111110" + "0" * 21 + "00" + "1" * 4 + "1" * 4 + "0", "1 bits are left"),
        ("0111111110" + "0" * 21 + "10" + "00" + "11" + "001", "names no 2 of 4 coordinates"),
        ("0111111110" + "0" * 21 + "10" + "00" + "10", "inside a unary number"),
        ("1" * 31, "scale is nan; it must be finite"),
    ],
)
def test_payloads_of_sparse_dithering_that_no_encoder_writes(bits: str, named: str) -> None:
    data = sparse_dithering_payload(lambda writer: writer.write_uint(int(bits, 2), len(bits)))
    with pytest.raises(FormatError, match=named):
        decode(data)


@pytest.mark.parametrize("shape", [(1 << 60,), (1 << 30, 1 << 30), (1 << 26, 2), (1 << 63,) * 15])
def test_too_many_coordinates_are_refused_before_anything_is_allocated(shape: tuple) -> None:
    data = Message(SparseDithering(0.1), Header(shape, "float32"), bytes(4), 31).to_bytes()
    seconds = []
    tracemalloc.start()
    for _ in range(20):
        began = time.perf_counter()
        with pytest.raises(FormatError, match="allowed are 1 to max_dim=67108864"):
            decode(data)
        seconds.append(time.perf_counter() - began)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(seconds) < 1e-3  # 36 us; the others show what else the machine is doing
    assert most < 1 << 20


def test_the_longest_payload_is_four_gibibits_or_64_bits_a_coordinate() -> None:
    """Refused from the declared length alone; one bit less, and the payload is looked for."""
    for max_dim, most in ((4, 1 << 32), (1 << 27, 1 << 33)):
        for bits, named in ((most, "frame ends early"), (most + 1, f"allowed are {most}")):
            with pytest.raises(FormatError, match=named):
                decode(frame(payload=varint(bits).hex()), max_dim)


def test_trailing_bits_are_refused_before_a_long_vector_is_drawn() -> None:
    """40 bytes that would take 7 s and 1.5 GiB to decode, were it not for one bit too many."""
    c, header = SphericalCompression(1 - 2.0**-53), Header((1 << 26,), "float64", nonce=1)
    writer = BitWriter()
    codes.write_positive_float(writer, 1.0)
    codes.write_rice(writer, [0], 0)
    writer.write_uint(1, 1)
    message = Message(c, header, writer.getvalue(), writer.bits)
    assert len(message.to_bytes()) <= 48
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="1 bits are left"):
            decode(message.to_bytes())
        assert tracemalloc.get_traced_memory()[1] < 1 << 26  # the vector alone takes 2**29
    finally:
        tracemalloc.stop()


def test_the_caller_sets_max_dim() -> None:
    data = Identity().encode(np.zeros(9)).to_bytes()
    assert decode(data, max_dim=9).size == 9
    for refuse in (decode, Message.from_bytes):
        with pytest.raises(FormatError, match="max_dim=8"):
            refuse(data, max_dim=8)


@pytest.mark.parametrize(("d", "members"), [(12, 1), (13, 5), (16, 15), (80, 3), (10_001, 1)])
def test_an_entropy_coded_subset_has_one_code(
    d: int, members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other payload is refused, or is the code of another subset."""
    monkeypatch.setattr(subset, "EXACT_SUBSET_DIM", 8)
    rng = np.random.default_rng(d)
    writer = BitWriter()
    codes.write_subset(writer, rng.permutation(d) < members, members)
    value = int.from_bytes(writer.getvalue()) >> -writer.bits % 8
    others = [value ^ 1 << i for i in range(writer.bits + 40)] + [value >> i for i in range(40)]
    others += [value << i | int(rng.integers(1 << i)) for i in range(40)]
    accepted = 0
    for other in others:
        payload = BitWriter()
        payload.write_uint(other, other.bit_length())
        try:
            mask = codes.read_subset(reader_of(payload), d, members)
        except FormatError:
            continue
        again = BitWriter()
        codes.write_subset(again, mask, members)
        assert (again.bits, again.getvalue()) == (payload.bits, payload.getvalue())
        accepted += 1
    assert accepted >= 2  # the code itself is among them, twice
