"""Compressed text: several members, cut off, damaged, bounded pieces."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pyarrow as pa
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.csv.compression import Codec, codec_for, codec_of, compress, decompressed

TEXT = b"".join(b"%d,%d\n" % (i, i * i) for i in range(20_000))


def source(data, limit=1 << 20):
    stream = io.BytesIO(data)
    return lambda n: stream.read(min(n, limit))


def read_all(read, n=1000):
    pieces = []
    while piece := read(n):
        assert len(piece) <= n
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("limit", [1, 3, 4096, 1 << 20])
def test_several_members_are_one_text(codec, limit):
    data = compress(TEXT, codec) + compress(b"", codec) + compress(b"end", codec)
    assert read_all(decompressed(source(data, limit), codec)) == TEXT + b"end"


@pytest.mark.parametrize("limit", [1, 3, 4096, 1 << 20])
def test_frames_of_pzstd(limit):
    """One that is skipped, four bytes long, before each: how long the frame behind it is."""
    frames = [compress(part, Codec.ZSTD) for part in (TEXT, b"", b"end")]
    head = b"\x50\x2a\x4d\x18\x04\0\0\0"
    data = b"".join(head + len(frame).to_bytes(4, "little") + frame for frame in frames)
    assert codec_of(data) is Codec.ZSTD
    assert read_all(decompressed(source(data, limit), Codec.ZSTD)) == TEXT + b"end"


@pytest.mark.parametrize("codec", Codec)
def test_compressed_data_is_found_by_its_first_bytes(codec):
    assert codec_of(compress(TEXT, codec)[:8]) is codec
    assert codec_of(TEXT) is None
    assert codec_of(b"") is None


def test_the_suffix_asks_for_a_codec():
    assert codec_for("/a.b/x.csv.GZ") is Codec.GZIP
    assert codec_for("x.zst") is codec_for("x.csv.zstd") is Codec.ZSTD
    assert codec_for("x.csv") is codec_for("gz") is None


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("members", [0, 1])
@pytest.mark.parametrize("cut", [2, 11, 100, -1])
def test_cut_off_data_is_never_a_shorter_text(codec, members, cut):
    data = compress(TEXT, codec) * members + compress(TEXT, codec)[:cut]
    with pytest.raises(DataError, match="cut off"):
        read_all(decompressed(source(data), codec))


@pytest.mark.parametrize("codec", Codec)
def test_garbage_after_the_last_member_is_an_error(codec):
    with pytest.raises(DataError, match="damaged"):
        read_all(decompressed(source(compress(TEXT, codec) + b"garbage!"), codec))


def test_a_flipped_bit_in_gzip_is_found():
    data = bytearray(compress(TEXT, Codec.GZIP))
    data[-6] ^= 1
    with pytest.raises(DataError, match="damaged"):
        read_all(decompressed(source(bytes(data)), Codec.GZIP))


def test_gzip_padded_with_zeros():
    data = compress(TEXT, Codec.GZIP) + bytes(1000)
    assert read_all(decompressed(source(data, 7), Codec.GZIP)) == TEXT


def test_what_other_tools_read():
    assert gzip.decompress(compress(TEXT, Codec.GZIP)) == TEXT
    stream = pa.CompressedInputStream(pa.BufferReader(compress(TEXT, Codec.ZSTD)), "zstd")
    assert stream.read() == TEXT
    assert compress(TEXT, Codec.GZIP)[4:8] == bytes(4), "no time stamp: the same bytes every time"


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("error", [OSError(5, "I/O error"), KeyboardInterrupt()])
def test_errors_of_the_source_come_through_as_they_are(codec, error):
    def read(n):
        raise error

    with pytest.raises(type(error)) as caught:
        decompressed(read, codec)(100)
    assert caught.value.args == error.args


@pytest.mark.parametrize("codec", Codec)
def test_a_bomb_is_read_in_bounded_memory(codec):
    data = compress(bytes(64 << 20), codec)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    read = decompressed(source(data), codec)
    total = 0
    while piece := read(1 << 16):
        total += len(piece)
        assert pa.total_allocated_bytes() - before < 4 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 64 << 20
    assert peak < 4 << 20
