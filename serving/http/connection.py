"""A connection as uvicorn's protocol on httptools keeps it, and what that lacks beside h11: strictness, and bounds.

The parser (llhttp) takes HTTP/2.0, a request without `Host` and `Transfer-Encoding: gzip, chunked`, and a head as long
as the caller likes; where a request offers another protocol, it takes the body for the next request. uvicorn adds
trailers to the headers that were looked at already, takes as many requests ahead as the caller sends, and answers a
broken one before those that came earlier; where a connection is lost, it tells the latest request, not the one in work,
and lets work go on whose answer nobody waits for. Here all of that ends otherwise.

uvicorn sends the head of an answer, and then its body: here they go together.

Not here: how long a head may take, and reading an answer (`connection_timeouts`), and what a body may be (`limits`).
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_EVENTLESS_BYTES = 2**14  # what a head, a chunk's line or trailers may come to before they are whole; as h11 does
MOST_AHEAD = 100  # requests that wait for the answer to an earlier one
VERSIONS = frozenset({"1.0", "1.1"})
CONTINUE = b"HTTP/1.1 100 "
INVALID = "Invalid HTTP request received."
Headers = Sequence[tuple[bytes, bytes]]
AGAIN = b"POST / HTTP/1.1\r\n%s: %s\r\n\r\n"


class StrictConnection(HttpToolsProtocol):
    """One connection; arguments as uvicorn gives them.

    Attributes:
        unread_since: `time.monotonic()` when more was written than the system takes; None: no more is.
    """

    unread_since: float | None = None
    _in_work: RequestResponseCycle | None = None  # `cycle` is the latest that came, which may wait for this one
    _work: asyncio.Task[Any] | None = None  # on it, once it has begun
    _n_eventless = 0  # bytes since a head or a body was whole, or a part of a body came
    _has_head = False  # of the request that is being read
    _again = b""  # a head for the parser alone, without which it would pass over the body
    _is_broken = False  # what comes is not read any more: nobody knows where a request would begin

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._application: Any = self.app
        self.app = self._answer

    def data_received(self, data: bytes) -> None:
        """Read what came, unless an earlier request was broken."""
        if self._is_broken:
            return
        self._unset_keepalive_if_required()
        self._n_eventless += len(data)
        try:
            while data:
                data = self._feed(data)
        except HttpParserError:
            self._break()
            return
        if self._n_eventless > MOST_EVENTLESS_BYTES:
            self._break()

    def on_message_begin(self) -> None:
        """A first line begins."""
        if not self._again:
            self._has_head = False
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers come here, too, and are left out: who was asked for a key has been asked by then."""
        if not self._has_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer, or refuse; an error here becomes an `HttpParserError` where the parser was fed."""
        self._n_eventless = 0
        if self._again:
            self._again = b""
            return
        self._has_head = True
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("too many requests ahead")
        _check(self.url, self.headers, self.parser.get_http_version())
        if self.parser.should_upgrade():
            self._again = _head_again(self.headers)
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answer's head no body follows
            self.cycle.transport = _OneWrite(self.transport)

    def on_body(self, body: bytes) -> None:
        """A part of a body came."""
        self._n_eventless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come."""
        self._n_eventless = 0
        if self._again:  # all but its body
            return
        # Also of one that was answered before its end, which uvicorn passes over: `_break` must know.
        self.cycle.more_body = False
        super().on_message_complete()
        if not self.pipeline:  # nobody is heard to hang up where nothing is read; a large body has stopped that
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Go on with the next request that waits, and read on when none is left."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self._is_broken and was_last:
            self.transport.close()
        elif self.pipeline:
            self.flow.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever works on a request is told, and can write no more; what has no answer yet is given up."""
        cycle = self._in_work
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
            if self._work is not None and not cycle.response_started:
                self._work.cancel()
        super().connection_lost(exc)
        self.app = self._application  # it knows itself no longer, and goes without a look for garbage

    def pause_writing(self) -> None:
        """More is written than the system takes: the next answer waits."""
        self.unread_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Nearly all that was written has been taken."""
        self.unread_since = None
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._in_work = cycle
        super()._start_asgi_task(cycle, app)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._work = asyncio.current_task()
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            if self._in_work is None or not self._in_work.disconnected:
                raise

    def _feed(self, data: bytes) -> bytes:
        """What the parser leaves: it stops where another protocol would begin, which is not spoken here."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stopped:
            self.parser = HttpRequestParser(self)  # the old one may read nothing more
            return self._again + data[stopped.args[0] :]
        return b""

    def _break(self) -> None:
        """Answer 400 where it is this request's turn; otherwise hang up after the answers that are owed."""
        self._is_broken = True
        self.logger.warning(INVALID)
        cycle = self.cycle  # of the latest request whose head was whole; None: there was none
        if self.pipeline:
            if cycle.more_body:  # it will never be whole
                self.pipeline.popleft()
        elif cycle is None or (cycle.response_complete and not cycle.more_body):
            self.send_400_response(INVALID)
        elif cycle.more_body:
            cycle.disconnected = True  # whoever works on it is told, and can write no more
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
            else:
                self.send_400_response(INVALID)


class _OneWrite(asyncio.Transport):
    """What one answer is written to. Its head is kept until the body comes.

    To write is a call of the system, and wakes whoever waits for the answer: a second one costs 3 to 6% of a row.

    Args:
        transport: of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._has_head = False
        self._kept = b""

    def write(self, data: Any) -> None:
        """Send, or keep the head for now."""
        if self._has_head or data.startswith(CONTINUE):
            kept, self._kept = self._kept, b""
            self._transport.write(kept + data)
        else:
            self._has_head, self._kept = True, data

    def is_closing(self) -> bool:
        """Whether the connection is."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what is kept, and hang up."""
        if self._kept:
            self.write(b"")
        self._transport.close()


def _check(url: bytes, headers: Headers, version: str) -> None:
    """Refuse a head that proxies may read otherwise.

    Raises:
        ValueError: it is one.
    """
    if version not in VERSIONS:
        raise ValueError("another version")
    if not url.startswith((b"/", b"*")) or b"#" in url:
        raise ValueError("the target is no path")
    n_hosts = sum(name == b"host" for name, _ in headers)
    if n_hosts > 1 or (n_hosts == 0 and version == "1.1"):
        raise ValueError("no one host")
    encodings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if encodings and (encodings != [b"chunked"] or version == "1.0"):
        raise ValueError("a body that is encoded otherwise than in chunks")


def _head_again(headers: Headers) -> bytes:
    """What says how long the body is, in a head that offers no other protocol; empty where there is no body."""
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            return AGAIN % (name, value)
    return b""
