"""Compressed bodies: what was sent is read, in bounds, and what is no such stream is refused."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from serving.errors import BodyTooLargeError, InvalidRequestError, WrongContentTypeError
from serving.http.bodies import decompress_body

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@given(body=st.binary(max_size=200), encoding=st.sampled_from(["gzip", "x-gzip", " GZIP ", "deflate", "", "identity"]))
def test_a_body_is_read_as_it_was_before_it_was_compressed(body: bytes, encoding: str):
    compress = COMPRESSORS.get(encoding.strip().lower().removeprefix("x-"), bytes)
    assert decompress_body(compress(body), encoding, max_bytes=200) == body


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_bomb_is_refused_without_being_unpacked(encoding: str):
    bomb = COMPRESSORS[encoding](bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(BodyTooLargeError, match="100,000 bytes"):
        decompress_body(bomb, encoding, max_bytes=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_what_is_as_large_as_allowed_is_read_and_one_byte_more_is_not(encoding: str):
    compress = COMPRESSORS[encoding]
    assert len(decompress_body(compress(bytes(1000)), encoding, max_bytes=1000)) == 1000
    with pytest.raises(BodyTooLargeError):
        decompress_body(compress(bytes(1001)), encoding, max_bytes=1000)


@given(parts=st.lists(st.binary(max_size=50), min_size=1, max_size=5), encoding=st.sampled_from(["gzip", "x-gzip"]))
def test_a_gzip_body_may_have_several_members(parts: list[bytes], encoding: str):
    """As `cat a.gz b.gz` makes them (RFC 1952, 2.2)."""
    assert decompress_body(b"".join(map(gzip.compress, parts)), encoding, max_bytes=250) == b"".join(parts)


def test_members_are_bounded_together():
    members = gzip.compress(bytes(400)) * 2
    assert len(decompress_body(members, "gzip", max_bytes=800)) == 800
    for body, most in ((members, 799), (gzip.compress(bytes(400)) + gzip.compress(bytes(50_000_000)), 100_000)):
        tracemalloc.start()
        with pytest.raises(BodyTooLargeError):
            decompress_body(body, "gzip", max_bytes=most)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


def test_many_members_without_content_are_read():
    assert decompress_body(gzip.compress(b"") * 50_000 + gzip.compress(b"rows"), "gzip", max_bytes=10) == b"rows"


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_what_is_no_whole_stream_is_refused(encoding: str):
    body = COMPRESSORS[encoding](b"some rows")
    said = {}
    for sent in (b"", b"some rows", body[:-1], body[:-4], body + b"x", body + body[:-1], body[:-5] + b"wrong"):
        with pytest.raises(InvalidRequestError) as refused:
            decompress_body(sent, encoding, max_bytes=1000)
        said[sent] = refused.value.details[0].message
    assert said[b""] == said[body[:-1]] == "It is cut off"
    assert said[body + b"x"] == "Something follows the compressed stream"
    follows = {"gzip": "It is cut off", "deflate": "Something follows the compressed stream"}
    assert said[body + body[:-1]] == follows[encoding]
    assert said[b"some rows"] == f"It is no {encoding} stream"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "none"])
def test_another_encoding_is_refused_with_those_that_are_read(encoding: str):
    with pytest.raises(WrongContentTypeError) as refused:
        decompress_body(b"", encoding, max_bytes=1000)
    assert refused.value.headers["Accept-Encoding"] == "gzip, deflate"
