"""Frames one after the other in a stream, and streams that say more than they hold."""

import io
import tracemalloc

import numpy as np
import pytest

from paper_code import FormatError, Identity, Message, SparseDithering, TopK, decode, iterate
from paper_code.messages.byte_reader import ByteReader, varint

X = np.array([3, -4, 0.1, 0], np.float32)


def test_concatenated_frames_are_told_apart() -> None:
    messages = [Identity().encode(X), TopK(2).encode(X), SparseDithering(0.1).encode(X)]
    data = b"".join(message.to_bytes() for message in messages)
    assert list(iterate(io.BytesIO(data))) == messages
    assert list(iterate(io.BytesIO(b""))) == []


def test_a_short_read_says_how_many_frames_were_whole() -> None:
    one = TopK(2).encode(X).to_bytes()
    for length in range(2 * len(one) + 1, 3 * len(one)):
        stream = iterate(io.BytesIO((3 * one)[:length]))
        assert [next(stream).bits, next(stream).bits] == [67, 67]
        with pytest.raises(FormatError, match="after 2 whole frames: frame ends early"):
            next(stream)


def test_a_stream_may_give_few_bytes_at_a_time() -> None:
    class Dripping(io.BytesIO):
        def read(self, count: int = -1) -> bytes:
            return super().read(min(count, 3))

    messages = [SparseDithering(0.1).encode(X)] * 2
    data = b"".join(message.to_bytes() for message in messages)
    assert list(iterate(Dripping(data))) == messages


def test_a_declared_length_allocates_nothing() -> None:
    one = Identity().encode(np.zeros(4, np.float32)).to_bytes()
    data = one[:-22] + varint(1 << 32) + bytes(1000)
    tracemalloc.start()
    with pytest.raises(FormatError, match="frame ends early"):
        decode(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_a_message_put_together_wrongly_is_refused() -> None:
    message = SparseDithering(0.1).encode(X)
    wrong = Message(message.compressor, message.header, b"", 10**9)
    with pytest.raises(FormatError, match="payload has 0 bytes, not what 1000000000 bits take"):
        wrong.decode()


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, 2**64 - 1])
def test_varints_read_back(value: int) -> None:
    assert ByteReader(io.BytesIO(varint(value))).varint() == value
