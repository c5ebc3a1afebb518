"""Bad requests as bytes to a real server, in every protocol: HTTP that is none, tricks in headers and paths, bodies
that are too deep, too large or too slow. Each gets its documented answer, and the server goes on.
"""

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

import httpx
import pytest

from tests.serving.bundles import SALES_COLUMNS, SALES_ROW, publish_sales
from tests.serving.http.test_hostile_requests import NO_JSON, REFUSED as NO_REQUESTS, WRONG_CELLS
from tests.serving.inference import inputs_of
from tests.serving.load import SECONDS, eventually
from tests.serving.processes import Running, running
from tests.serving.protocols.test_open_inference_refusals import CHANGES
from tests.serving.reading.test_bad_requests import INVALID, OTHERS

NATIVE, TRITON, MLFLOW = "/models/ice%20cream/predict", "/v2/models/ice%20cream/infer", "/invocations"
NO_HTTP = b"Invalid HTTP request received."
DEEP, MEBIBYTE = 10**6, 2**20
JSON = b"Content-Type: application/json"
CHUNKED = (b"Host: x", JSON, b"Transfer-Encoding: chunked")
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
    yield from serving(root)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that waits a second for what a request is made of; the other one gives a slow machine its time."""
    root = tmp_path_factory.mktemp("bundles")
    publish_sales(root)
    yield from serving(root, SERVING_REQUEST_SECONDS="1")


def serving(root: Path, **changes: str) -> Iterator[Running]:
    with running(root, SERVING_BUNDLES=str(root), **changes) as own:
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


def connect(server: Running) -> socket.socket:
    url = httpx.URL(server.address)
    return socket.create_connection((url.host, url.port or 0), timeout=SECONDS)


def send(server: Running, content: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the one answer; the server may hang up while it is still sent to."""
    with connect(server) as client:
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


def answers_in_time(server: Running, *, after_seconds: Iterable[float] = (0.0,)) -> bool:
    """Whether requests on one connection are answered, each after a pause; one that has no answer broke off."""
    try:
        with connect(server) as client:
            for pause in after_seconds:
                time.sleep(pause)
                client.sendall(whole(NATIVE))
                if read_answer(client)[0] != 200:
                    return False
    except (OSError, IndexError):
        return False
    return True


def is_hung_up_on(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


# What is no HTTP, however the path: the HTTP server answers 400 in plain text, and hangs up.
def no_http(path: str) -> dict[str, bytes]:
    return {
        "null bytes": b"\0\1\2\r\n\r\n",
        "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "HTTP 0.9": b"GET %s\r\n\r\n" % path.encode(),
        "no host": bare(path, JSON, b"Content-Length: 0"),
        "two hosts": whole(path, b"Host: y"),
        "HTTP 2": whole(path, start=b"POST %s HTTP/2.0" % path.encode()),
        "two lengths": whole(path, b"Content-Length: 3"),
        "the length twice": whole(path, b"Content-Length: %d" % len(GOOD[path])),
        "two ways to say where the body ends": bare(path, *CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"),
        "a length among the trailers": bare(path, *CHUNKED, body=b"0\r\nContent-Length: 5\r\n\r\n"),
        "a negative length": bare(path, b"Host: x", JSON, b"Content-Length: -1"),
        "a hexadecimal length": bare(path, b"Host: x", JSON, b"Content-Length: 0x10"),
        "a length with a sign": bare(path, b"Host: x", JSON, b"Content-Length: +10"),
        "an empty length": bare(path, b"Host: x", JSON, b"Content-Length:"),
        "20 digits of length": bare(path, b"Host: x", JSON, b"Content-Length: " + b"9" * 20),
        "a length of 5,000 digits": bare(path, b"Host: x", JSON, b"Content-Length: " + b"9" * 5_000),
        "a transfer encoding of gzip": bare(path, b"Host: x", JSON, b"Transfer-Encoding: gzip"),
        "two transfer encodings": bare(path, b"Host: x", JSON, b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        "a part without a size": bare(path, *CHUNKED, body=b"zz\r\n"),
        "a part of a negative size": bare(path, *CHUNKED, body=b"-1\r\n"),
        "a part of a size beyond all": bare(path, *CHUNKED, body=b"f" * 30 + b"\r\n"),
        "a part longer than its size": bare(path, *CHUNKED, body=b"3\r\nabcdef\r\n"),
        "chunks within chunks": bare(path, b"Host: x", b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        "chunks said twice": bare(path, *CHUNKED, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "chunks in HTTP 1.0": lines(b"POST %s HTTP/1.0" % path.encode(), *CHUNKED, body=b"0\r\n\r\n"),
        "a part's size of a mebibyte": bare(path, *CHUNKED, body=b"1;" + b"a" * MEBIBYTE),
        "trailers of a mebibyte": bare(path, *CHUNKED, body=b"0\r\nX-A: " + b"a" * MEBIBYTE),
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
def refused(path: str) -> dict[str, tuple[Callable[[], bytes], int, str]]:
    """Each is made where it is asked for: some are large."""

    def at(other: str) -> Callable[[], bytes]:
        return lambda: whole(path, start=b"POST %s HTTP/1.1" % other.encode())

    def by(method: bytes) -> Callable[[], bytes]:
        return lambda: whole(path, start=b"%s %s HTTP/1.1" % (method, path.encode()))

    too_large = (413, "body_too_large")
    return {
        "100 MB declared": (lambda: bare(path, b"Host: x", JSON, b"Content-Length: 100000000"), *too_large),
        "100 MB": (lambda: whole(path, body=b" " * 100_000_000), *too_large),
        "100 MB in parts": (
            lambda: bare(path, *CHUNKED, body=b"100000\r\n%s\r\n" % (b" " * 2**20) * 96),
            *too_large,
        ),
        "gzip with something behind it": (
            lambda: whole(path, b"Content-Encoding: gzip", body=gzip.compress(GOOD[path]) + b"\0"),
            422,
            "invalid_request",
        ),
        "100 MB in gzip": (lambda: whole(path, b"Content-Encoding: gzip", body=bomb()), *too_large),
        "gzip that is none": (lambda: whole(path, b"Content-Encoding: gzip"), 422, "invalid_request"),
        "an encoding of nobody": (lambda: whole(path, b"Content-Encoding: br"), 415, "wrong_content_type"),
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


@cache
def bomb() -> bytes:
    return gzip.compress(b"[" * 100_000_000)


REFUSED = {path: refused(path) for path in (NATIVE, TRITON)}


@pytest.mark.parametrize("kind", REFUSED[NATIVE])
@pytest.mark.parametrize("path", REFUSED, ids=["native", "v2"])
def test_a_trick_gets_its_documented_answer(server: Running, path: str, kind: str):
    make, status, code = REFUSED[path][kind]
    got, head, body = send(server, make())
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


DEEP_FILLINGS = {
    "lists": b"[" * DEEP + b"]" * DEEP,
    "lists that never end": b"[" * DEEP,
    "objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
}
# Every place where a body may hold something.
DEEP_PLACES = {
    NATIVE: [b"%s", b'{"rows": %s}', b'{"rows": [%s]}', b'{"columns": %s}', b'{"columns": {"humidity": %s}}'],
    TRITON: [b"%s", b'{"inputs": %s}', b'{"inputs": [{"data": %s}]}', b'{"parameters": %s}', b'{"id": %s}'],
    MLFLOW: [
        *(b"%s", b'{"dataframe_split": %s}', b'{"dataframe_records": [%s]}', b'{"instances": %s}', b'{"inputs": %s}'),
    ],
}


@pytest.mark.parametrize("filling", DEEP_FILLINGS)
@pytest.mark.parametrize(
    ("path", "place"),
    [(path, place) for path, places in DEEP_PLACES.items() for place in places],
    ids=lambda own: own.decode().replace("%s", "...") if isinstance(own, bytes) else own,
)
def test_a_million_levels_are_refused(server: Running, path: str, place: bytes, filling: str):
    status, _, body = send(server, whole(path, body=place % DEEP_FILLINGS[filling]))
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


def test_a_body_that_drips_is_given_up(impatient: Running):
    with ExitStack() as opened:
        clients = [opened.enter_context(connect(impatient)) for _ in GOOD]
        for client, path in zip(clients, GOOD, strict=True):
            client.sendall(bare(path, b"Host: x", JSON, b"Content-Length: 1000") + b"{")
        for client in clients:
            status, _, body = read_answer(client)
            assert status == 408
            assert b"The body did not come within 1 seconds." in body
            assert is_hung_up_on(client)
    eventually(lambda: answers_in_time(impatient))


UNFINISHED = {"nothing": b"", "a byte": b"P", "a header": b"POST / HTTP/1.1\r\nHost: x\r\nX-A: "}


def test_a_head_that_does_not_end_is_hung_up_on(impatient: Running):
    """On new connections, and on those that have asked before."""
    with ExitStack() as opened:
        clients = []
        for before in (b"", whole(NATIVE)):
            for unfinished in UNFINISHED.values():
                clients.append(opened.enter_context(connect(impatient)))
                clients[-1].sendall(before)
                if before:
                    assert read_answer(clients[-1])[0] in (200, 504)  # a slow machine may need more than a second
                with suppress(ConnectionError):  # or is hung up on already
                    clients[-1].sendall(unfinished)
        assert [is_hung_up_on(client) for client in clients] == [True] * len(clients)
    eventually(lambda: answers_in_time(impatient))


def test_a_connection_may_rest_between_two_requests(impatient: Running):
    """For 5 s, says uvicorn, which is longer than a head may take here."""
    # What has sent nothing for a second is looked for every second. A machine that stalls may need another try.
    eventually(lambda: answers_in_time(impatient, after_seconds=(0.0, 2.5)))


def test_there_are_more_than_two_hundred_bad_requests_for_the_two_protocols():
    by_wire = sum(
        len(no_http(path)) + len(REFUSED[path]) + len(DEEP_PLACES[path]) * len(DEEP_FILLINGS) for path in REFUSED
    )
    by_native = len(INVALID) + len(OTHERS) + len(WRONG_CELLS) + len(NO_JSON) + len(NO_REQUESTS)
    assert by_wire + by_native + len(CHANGES) >= 300
