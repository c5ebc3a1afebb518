"""Bad requests as bytes to a real server, in every protocol: HTTP that is none, tricks in headers and paths, bodies
that are too deep, too large or too slow. Each gets its documented answer, and the server goes on.
"""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.serving.bundles import SALES_COLUMNS, SALES_ROW, publish_sales
from tests.serving.inference import inputs_of
from tests.serving.processes import Running, running
from tests.serving.test_bad_requests import INVALID, OTHERS
from tests.serving.test_hostile_requests import NO_JSON, REFUSED as NO_REQUESTS, WRONG_CELLS
from tests.serving.test_open_inference_refusals import CHANGES

NATIVE, TRITON, MLFLOW = "/models/ice%20cream/predict", "/v2/models/ice%20cream/infer", "/invocations"
NO_HTTP = b"Invalid HTTP request received."
DEEP, MEBIBYTE = 10**6, 2**20
JSON = b"Content-Type: application/json"
ROWS = [SALES_ROW | {"humidity": 40}]
INPUTS = [own._get_tensor() for own in inputs_of(SALES_COLUMNS, ROWS, binary=False)]
GOOD = {
    NATIVE: json.dumps({"rows": ROWS}).encode(),
    TRITON: json.dumps({"inputs": INPUTS}).encode(),
    MLFLOW: json.dumps({"dataframe_records": ROWS}).encode(),
}
PROTOCOLS = pytest.mark.parametrize("path", GOOD, ids=["native", "v2", "mlflow"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("bundles")
    publish_sales(root)
    with running(root, SERVING_BUNDLES=str(root), SERVING_REQUEST_SECONDS="2") as own:
        yield own
        assert own.stop() == 0
    log = (root / "stderr.log").read_text()
    assert "Traceback" not in log
    assert "The server failed" not in log


def lines(start: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([start, *headers, b"", body])


def whole(path: str, *more: bytes, start: bytes | None = None, body: bytes | None = None) -> bytes:
    """A good request, with more headers, another first line or another body."""
    body = GOOD[path] if body is None else body
    start = b"POST %s HTTP/1.1" % path.encode() if start is None else start
    return lines(start, b"Host: x", JSON, b"Content-Length: %d" % len(body), *more, body=body)


def bare(path: str, *headers: bytes, body: bytes = b"") -> bytes:
    """A request with these headers alone."""
    return lines(b"POST %s HTTP/1.1" % path.encode(), *headers, body=body)


def send(server: Running, content: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the one answer; the server may hang up while it is still sent to."""
    url = httpx.URL(server.address)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        with suppress(OSError):
            client.sendall(content)
        return read_answer(client)


def read_answer(client: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, head and body; without a length the body goes on until the server hangs up."""
    with client.makefile("rb", buffering=0) as answer:
        status = int(answer.readline().split()[1])
        head = b"".join(iter(answer.readline, b"\r\n"))
        lengths = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
        size = int(lengths[0].split(b":")[1]) if lengths else None
        body = b""
        while size is None or len(body) < size:
            part = answer.read(65_536 if size is None else size - len(body))
            if not part:
                break
            body += part
    return status, head, body


def check_goes_on(server: Running) -> None:
    for path in GOOD:
        assert send(server, whole(path))[0] == 200


# What is no HTTP, however the path: the HTTP server answers 400 in plain text, and hangs up.
def no_http(path: str) -> dict[str, bytes]:
    chunked = (b"Host: x", JSON, b"Transfer-Encoding: chunked")
    return {
        "null bytes": b"\0\1\2\r\n\r\n",
        "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "HTTP 0.9": b"GET %s\r\n\r\n" % path.encode(),
        "no host": bare(path, JSON, b"Content-Length: 0"),
        "two hosts": whole(path, b"Host: y"),
        "HTTP 2": whole(path, start=b"POST %s HTTP/2.0" % path.encode()),
        "two lengths": whole(path, b"Content-Length: 3"),
        "the length twice": whole(path, b"Content-Length: %d" % len(GOOD[path])),
        "two ways to say where the body ends": bare(path, *chunked, b"Content-Length: 5", body=b"0\r\n\r\n"),
        "a length among the trailers": bare(path, *chunked, body=b"0\r\nContent-Length: 5\r\n\r\n"),
        "a negative length": bare(path, b"Host: x", JSON, b"Content-Length: -1"),
        "a hexadecimal length": bare(path, b"Host: x", JSON, b"Content-Length: 0x10"),
        "a length with a sign": bare(path, b"Host: x", JSON, b"Content-Length: +10"),
        "an empty length": bare(path, b"Host: x", JSON, b"Content-Length:"),
        "20 digits of length": bare(path, b"Host: x", JSON, b"Content-Length: " + b"9" * 20),
        "a length of 5,000 digits": bare(path, b"Host: x", JSON, b"Content-Length: " + b"9" * 5_000),
        "a transfer encoding of gzip": bare(path, b"Host: x", JSON, b"Transfer-Encoding: gzip"),
        "two transfer encodings": bare(path, b"Host: x", JSON, b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        "a part without a size": bare(path, *chunked, body=b"zz\r\n"),
        "a part of a negative size": bare(path, *chunked, body=b"-1\r\n"),
        "a part of a size beyond all": bare(path, *chunked, body=b"f" * 30 + b"\r\n"),
        "a part longer than its size": bare(path, *chunked, body=b"3\r\nabcdef\r\n"),
        "chunks within chunks": bare(path, b"Host: x", b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        "chunks said twice": bare(path, *chunked, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "chunks in HTTP 1.0": lines(b"POST %s HTTP/1.0" % path.encode(), *chunked, body=b"0\r\n\r\n"),
        "a part's size of a mebibyte": bare(path, *chunked, body=b"1;" + b"a" * MEBIBYTE),
        "trailers of a mebibyte": bare(path, *chunked, body=b"0\r\nX-A: " + b"a" * MEBIBYTE),
        "a line that ends with a line feed": whole(path, b"X-A: b\nX-B: c"),
        "a header over two lines": whole(path, b"X-A: b\r\n c"),
        "a header without a colon": whole(path, b"abc"),
        "a header with a space in its name": whole(path, b"X A: b"),
        "a null byte in a header": whole(path, b"X-A: b\0c"),
        "a bare carriage return in a header": whole(path, b"X-A: b\rX-B: c"),
        "a header of ten mebibytes": whole(path, b"X-A: " + b"a" * 10 * MEBIBYTE),
        "a space in the path": whole(path, start=b"POST /models/ice cream/predict HTTP/1.1"),
        "a path that is not ASCII": whole(path, start="POST /models/é/predict HTTP/1.1".encode()),
        "a null byte in the path": whole(path, start=b"POST /models/\0/predict HTTP/1.1"),
        "a whole address for a path": whole(path, start=b"POST http://x%s HTTP/1.1" % path.encode()),
        "a fragment": whole(path, start=b"POST %s#a HTTP/1.1" % path.encode()),
        "a method in small letters": whole(path, start=b"post %s HTTP/1.1" % path.encode()),
        "a method of 5,000 letters": whole(path, start=b"%s %s HTTP/1.1" % (b"A" * 5_000, path.encode())),
        "a method that is not ASCII": whole(path, start="PÖST / HTTP/1.1".encode()),
    }


@pytest.mark.parametrize("kind", no_http(NATIVE))
@PROTOCOLS
def test_what_is_no_http_is_answered_400_and_hung_up_on(server: Running, path: str, kind: str):
    status, head, body = send(server, no_http(path)[kind])
    assert status == 400
    assert NO_HTTP in body
    assert b"connection: close" in head.lower()
    check_goes_on(server)


# HTTP that asks for what there is not, or declares what it has not: status and code.
def refused(path: str) -> dict[str, tuple[bytes, int, str]]:
    def at(other: str) -> bytes:
        return whole(path, start=b"POST %s HTTP/1.1" % other.encode())

    def by(method: bytes) -> bytes:
        return whole(path, start=b"%s %s HTTP/1.1" % (method, path.encode()))

    too_large = (413, "body_too_large")
    return {
        "100 MB declared": (bare(path, b"Host: x", JSON, b"Content-Length: 100000000"), *too_large),
        "100 MB": (whole(path, body=b" " * 100_000_000), *too_large),
        "100 MB in parts": (
            bare(path, b"Host: x", JSON, b"Transfer-Encoding: chunked", body=b"100000\r\n%s\r\n" % (b" " * 2**20) * 96),
            *too_large,
        ),
        "gzip with something behind it": (
            whole(path, b"Content-Encoding: gzip", body=gzip.compress(GOOD[path]) + b"\0"),
            422,
            "invalid_request",
        ),
        "100 MB in gzip": (whole(path, b"Content-Encoding: gzip", body=BOMB), *too_large),
        "gzip that is none": (whole(path, b"Content-Encoding: gzip"), 422, "invalid_request"),
        "an encoding of nobody": (whole(path, b"Content-Encoding: br"), 415, "wrong_content_type"),
        "another method": (by(b"PUT"), 405, "method_not_allowed"),
        "TRACE": (by(b"TRACE"), 405, "method_not_allowed"),
        "a slash too many": (at("/" + path), 404, "not_found"),
        "a slash at the end": (at(path + "/"), 404, "not_found"),
        "a path of 50,000 letters": (at("/" + "a" * 50_000), 404, "not_found"),
        "upwards and back": (at(path.replace("/models/", "/models/../models/")), 404, "not_found"),
        "upwards, encoded": (at(path.replace("ice%20cream", "..%2f..%2fetc%2fpasswd")), 404, "not_found"),
        "a dot for a name": (at(path.replace("ice%20cream", ".")), 404, "unknown_model"),
        "two dots, encoded": (at(path.replace("ice%20cream", "%2e%2e")), 404, "unknown_model"),
        "a name encoded twice": (at(path.replace("%20", "%2520")), 404, "unknown_model"),
        "a name that is no encoding": (at(path.replace("ice%20cream", "%zz")), 404, "unknown_model"),
        "a name that is no UTF-8": (at(path.replace("ice%20cream", "%ff%fe")), 404, "unknown_model"),
        "a null byte in the name": (at(path.replace("cream", "cream%00")), 404, "unknown_model"),
        "a new line in the name": (at(path.replace("cream", "cream%0d%0aX-A:%20b")), 404, "unknown_model"),
        "a parameter in the name": (at(path.replace("cream", "cream;version=2")), 404, "unknown_model"),
        "backslashes": (at(path.replace("ice%20cream", "..\\..\\etc")), 404, "unknown_model"),
        "markup for a name": (at(path.replace("ice%20cream", "<script>")), 404, "unknown_model"),
        "a name of 10,000 letters": (at(path.replace("ice%20cream", "a" * 10_000)), 404, "unknown_model"),
    }


BOMB = gzip.compress(b"[" * 100_000_000, 9)
REFUSED = {path: refused(path) for path in (NATIVE, TRITON)}


@pytest.mark.parametrize("kind", REFUSED[NATIVE])
@pytest.mark.parametrize("path", REFUSED, ids=["native", "v2"])
def test_a_trick_gets_its_documented_answer(server: Running, path: str, kind: str):
    content, status, code = REFUSED[path][kind]
    got, head, body = send(server, content)
    assert got == status, body
    check_error(path, body, code)
    assert b"X-A: b" not in head
    assert len(body) < 1_000
    check_goes_on(server)


def check_error(path: str, body: bytes, code: str) -> None:
    """In the protocol's own form, as far as the path still is the protocol's."""
    answer = json.loads(body)
    error = answer["message"] if path == MLFLOW else answer["error"]
    if isinstance(error, dict):
        assert error["code"].startswith(code)
        error = error["message"]
    for word in ("Traceback", ".py", "site-packages", "/tmp"):
        assert word not in error


def deep(path: str) -> dict[str, bytes]:
    """A million levels, at every place where a body may hold something."""
    lists, open_lists = b"[" * DEEP + b"]" * DEEP, b"[" * DEEP
    objects = b'{"a":' * DEEP + b"1" + b"}" * DEEP
    places = {
        NATIVE: [b'{"rows": %s}', b'{"rows": [%s]}', b'{"columns": %s}', b'{"columns": {"humidity": %s}}'],
        TRITON: [b'{"inputs": %s}', b'{"inputs": [{"data": %s}]}', b'{"parameters": %s}', b'{"id": %s}'],
        MLFLOW: [b'{"dataframe_split": %s}', b'{"dataframe_records": [%s]}', b'{"instances": %s}', b'{"inputs": %s}'],
    }[path]
    fillings = {"lists": lists, "lists that never end": open_lists, "objects": objects}
    return {
        f"{kind} in {place.decode()}": place % filling
        for place in (b"%s", *places)
        for kind, filling in fillings.items()
    }


@pytest.mark.parametrize(
    ("path", "kind"), [(path, kind) for path in GOOD for kind in deep(path)], ids=lambda own: own.replace("%s", "...")
)
def test_a_million_levels_are_refused(server: Running, path: str, kind: str):
    status, _, body = send(server, whole(path, body=deep(path)[kind]))
    assert status == (400 if path == MLFLOW else 422)
    check_error(path, body, "invalid_request")
    assert len(body) < 1_000
    check_goes_on(server)


# What looks odd and is harmless is answered as any other request.
HARMLESS = {
    "HTTP 1.0": lambda path: whole(path, start=b"POST %s HTTP/1.0" % path.encode()),
    "a query": lambda path: whole(path, start=b"POST %s?rows=1&rows=2 HTTP/1.1" % path.encode()),
    "an upgrade": lambda path: whole(path, b"Connection: Upgrade", b"Upgrade: websocket"),
    "an upgrade without keeping the connection": lambda path: whole(
        path, b"Connection: Upgrade, close", b"Upgrade: websocket"
    ),
    "an upgrade to HTTP 2": lambda path: whole(path, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"),
    "another method in a header": lambda path: whole(path, b"X-HTTP-Method-Override: DELETE"),
    "another path in a header": lambda path: whole(path, b"X-Original-URL: /metrics", b"X-Rewrite-URL: /metrics"),
    "another caller in a header": lambda path: whole(path, b"X-Forwarded-For: 127.0.0.1", b"Forwarded: for=x"),
    "a trace of nobody": lambda path: whole(path, b"traceparent: 00-zz-zz-zz", b"baggage: " + b"a" * 9_000),
    "a key that is no text": lambda path: whole(path, b"Authorization: Bearer \xff\xfe"),
    "an expectation of nobody": lambda path: whole(path, b"Expect: 200-ok"),
    "a range": lambda path: whole(path, b"Range: bytes=0-1", b"If-None-Match: *"),
    "200 cookies": lambda path: whole(path, *[b"Cookie: a=%d" % number for number in range(200)]),
    "an origin of elsewhere": lambda path: whole(path, b"Origin: https://example.com"),
}


@pytest.mark.parametrize("kind", HARMLESS)
@PROTOCOLS
def test_what_looks_odd_and_is_harmless_is_answered(server: Running, path: str, kind: str):
    status, head, body = send(server, HARMLESS[kind](path))
    assert status == 200, body
    assert b"access-control" not in head.lower()
    expected = send(server, whole(path))[2]
    assert body == expected


@PROTOCOLS
def test_a_body_that_drips_is_given_up(server: Running, path: str):
    url = httpx.URL(server.address)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        client.sendall(bare(path, b"Host: x", JSON, b"Content-Length: 1000") + b"{")
        status, _, body = read_answer(client)
        assert status == 408
        assert b"The body did not come within 2 seconds." in body
        assert client.recv(1) == b"", "the connection is closed"
    check_goes_on(server)


UNFINISHED = {"nothing": b"", "a byte": b"P", "a header": b"POST / HTTP/1.1\r\nHost: x\r\nX-A: "}


@pytest.mark.parametrize("first", UNFINISHED.values(), ids=UNFINISHED)
@pytest.mark.parametrize("is_used", [False, True], ids=["a new connection", "after a request"])
def test_a_head_that_does_not_end_is_hung_up_on(server: Running, first: bytes, *, is_used: bool):
    url = httpx.URL(server.address)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        if is_used:
            client.sendall(whole(NATIVE))
            assert read_answer(client)[0] == 200
        client.sendall(first)
        assert client.recv(1) == b""
    check_goes_on(server)


def test_a_connection_may_rest_between_two_requests(server: Running):
    """For 5 s, says uvicorn, which is longer than a head may take here."""
    url = httpx.URL(server.address)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        client.sendall(whole(NATIVE))
        assert read_answer(client)[0] == 200
        time.sleep(3)
        client.sendall(whole(NATIVE))
        assert read_answer(client)[0] == 200


def test_there_are_more_than_two_hundred_bad_requests_for_the_two_protocols():
    by_wire = sum(len(no_http(path)) + len(REFUSED[path]) + len(deep(path)) for path in REFUSED)
    by_native = len(INVALID) + len(OTHERS) + len(WRONG_CELLS) + len(NO_JSON) + len(NO_REQUESTS)
    assert by_wire + by_native + len(CHANGES) >= 300
