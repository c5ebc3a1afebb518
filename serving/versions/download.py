"""One GET over HTTP that ends in time and within a size, whatever the other side sends, or does not send."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPSHandler, Request, build_opener

SILENT_SECONDS = 10.0  # without a byte: a server that is silent so long is away
PIECE_BYTES = 2**20


class TooLargeError(Exception):
    """There is more than there may be."""


class RefusedError(Exception):
    """Another status than 200; the message is what a browser would show.

    Attributes:
        status: of HTTP.
        body: the first of it.
    """

    def __init__(self, error: HTTPError) -> None:
        super().__init__(f"{error.code} {error.reason}")
        self.status = error.code
        self.body = error.read(PIECE_BYTES)


def fetch(url: str, *, headers: Mapping[str, str], most_seconds: float, most_bytes: int) -> bytes:
    """What lies at an address.

    Args:
        url: http or https.
        headers: to send there, and to no address that it may refer to.
        most_seconds: in all; a byte now and then does not keep it up.
        most_bytes: of the answer.

    Raises:
        RefusedError: it is answered with another status.
        OSError: it cannot be reached, is silent, or is not done in time.
        HTTPException: what is answered is not HTTP, or not whole.
        TooLargeError: the answer is larger.
    """
    request = Request(url)  # noqa: S310  settings allow http(s) only
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    with _Deadline(most_seconds) as deadline:
        try:
            content = _ask(request, deadline, most_bytes)
        except (OSError, HTTPException):
            deadline.check()
            raise
        deadline.check()  # a head that is cut off is taken for a whole one
        return content


def _ask(request: Request, deadline: "_Deadline", most_bytes: int) -> bytes:
    try:
        with build_opener(_DeadlineHandler(deadline)).open(request, timeout=SILENT_SECONDS) as answer:
            return _read(answer, most_bytes)
    except HTTPError as error:
        with error:
            raise RefusedError(error) from error


def _read(answer: HTTPResponse, most_bytes: int) -> bytes:
    content = bytearray()
    while piece := answer.read(PIECE_BYTES):
        content += piece
        if len(content) > most_bytes:
            raise TooLargeError(f"more than {most_bytes / 2**20:,.0f} MiB")
    if answer.length:  # what is missing: asked for pieces, it is told nowhere else
        raise IncompleteRead(bytes(content), answer.length)
    return bytes(content)


class _Deadline:
    """Cuts a connection off when its time is up: a timeout of a socket begins again with every byte.

    Args:
        seconds: from the beginning of the block.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._is_over = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, connected: socket.socket) -> None:
        """Cut this one off, or raise where it is too late already."""
        self._socket = connected
        self.check()

    def check(self) -> None:
        """Raise if the time is up.

        Raises:
            TimeoutError: it is.
        """
        if self._is_over:
            raise TimeoutError(f"not done in {self._seconds:.0f} s")

    def _cut(self) -> None:
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS, too, whose own would free what is read


class _DeadlineHandler(HTTPHandler, HTTPSHandler):
    """Opens connections that the deadline cuts off."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_Connection, deadline=self._deadline), req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_TlsConnection, deadline=self._deadline), req)


class _Connection(HTTPConnection):
    def __init__(self, host: str, *, deadline: _Deadline, **options: Any) -> None:
        super().__init__(host, **options)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self._deadline.watch(self.sock)


class _TlsConnection(_Connection, HTTPSConnection):
    pass
