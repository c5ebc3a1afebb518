"""Several requests on one connection: each has its own answer, in turn, and none is made of what another one sent."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.serving.bundles import publish_sales
from tests.serving.http.test_hostile_wire import CHUNKED, GOOD, JSON, NATIVE, bare, connect, lines, read_answer, whole
from tests.serving.processes import Running, running

UPGRADE = (b"Connection: Upgrade", b"Upgrade: h2c")
HEALTH = lines(b"GET /live HTTP/1.1", b"Host: x")
GOOD_CHUNKS = b"%x\r\n%s\r\n0\r\n" % (len(GOOD[NATIVE]), GOOD[NATIVE])
BAD_CHUNK = bare(NATIVE, *CHUNKED, body=b"zz\r\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("bundles")
    publish_sales(root)
    with running(root, SERVING_BUNDLES=str(root)) as own:
        yield own
        assert own.stop() == 0
    assert "Traceback" not in (root / "stderr.log").read_text()


def read_all(client: socket.socket) -> bytes:
    """Until the server hangs up."""
    received = b""
    while part := client.recv(65_536):
        received += part
    return received


@pytest.mark.parametrize("in_parts", [False, True], ids=["at once", "a few bytes at a time"])
@pytest.mark.parametrize("n_bytes", [len(HEALTH), len(HEALTH) - 4], ids=["a whole request", "the start of one"])
@pytest.mark.parametrize("more", [(), UPGRADE], ids=["plain", "with an upgrade"])
def test_a_request_within_a_body_is_not_answered(
    server: Running, more: tuple[bytes, ...], n_bytes: int, *, in_parts: bool
):
    """A parser that takes an upgrade for the end of HTTP would read the body as the next request."""
    body = HEALTH[:n_bytes]
    content = bare(NATIVE, b"Host: x", JSON, b"Content-Length: %d" % len(body), *more, body=body) + whole(NATIVE)
    with connect(server) as client:
        step = 5 if in_parts else len(content)
        for start in range(0, len(content), step):
            client.sendall(content[start : start + step])
        assert [read_answer(client)[0] for _ in range(2)] == [422, 200]
        client.settimeout(0.2)
        with suppress(TimeoutError):
            assert client.recv(1) == b"", "if anything, the end of a connection that rests"


@pytest.mark.parametrize("more", [(), UPGRADE], ids=["plain", "with an upgrade"])
def test_trailers_are_no_headers_of_this_request_nor_of_the_next(server: Running, more: tuple[bytes, ...]):
    trailed = bare(NATIVE, *CHUNKED, *more, body=GOOD_CHUNKS + b"X-Request-ID: trailed\r\n\r\n")
    with connect(server) as client:
        client.sendall(trailed + HEALTH)
        for _ in range(2):
            status, head, _ = read_answer(client)
            assert status == 200
            assert b"trailed" not in head


def test_a_broken_request_does_not_take_the_answers_of_those_before_it(server: Running):
    for broken in (b"XX\r\n\r\n", BAD_CHUNK, whole(NATIVE, b"Host: y")):
        with connect(server) as client:
            client.sendall(whole(NATIVE) * 3 + broken + whole(NATIVE))
            assert [read_answer(client)[0] for _ in range(3)] == [200] * 3
            try:
                rest = read_all(client)
            except ConnectionResetError:
                rest = b""
            assert b" 200 " not in rest


@pytest.mark.parametrize("path", [b"/nothing", NATIVE.encode()], ids=["answered already", "waiting"])
def test_a_body_that_breaks_has_one_answer(server: Running, path: bytes):
    with connect(server) as client:
        client.sendall(lines(b"POST %s HTTP/1.1" % path, *CHUNKED))
        if path == b"/nothing":
            assert read_answer(client)[0] == 404
        client.sendall(b"zz\r\n" + HEALTH)
        received = read_all(client)
    assert received.count(b"HTTP/1.1") == (0 if path == b"/nothing" else 1)
    assert b" 200 " not in received


def test_who_asks_far_ahead_gets_a_hundred_answers_and_asks_again(server: Running):
    """Whoever sends without reading would otherwise fill the memory, a request at a time."""
    with connect(server) as client:
        client.sendall(HEALTH * 1_000)
        received = b""
        try:
            while part := client.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
    assert received.count(b"HTTP/1.1 ") == received.count(b"HTTP/1.1 200 ") == 101


def test_who_asks_a_hundred_ahead_is_answered_in_turn(server: Running):
    names = [f"id-{place}".encode() for place in range(100)]
    with connect(server) as client:
        client.sendall(b"".join(whole(NATIVE, b"X-Request-ID: " + name) for name in names))
        for name in names:
            status, head, _ = read_answer(client)
            assert status == 200
            assert b"x-request-id: " + name + b"\r\n" in head.lower()
        client.sendall(HEALTH)
        assert read_answer(client)[0] == 200
