"""What a connection writes, and when: an answer's head goes with its body. And what a request is told of the others."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from serving.http.connection import StrictConnection
from serving.http.server import DrainingServer, server_config
from serving.request_context import UNDER_WAY
from serving.settings import Settings
from tests.serving.load import SECONDS

TURNS = 20  # of the event loop, in which any of these answers is written
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written to it, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False
        self.is_read = True

    def write(self, data: Any) -> None:
        assert data
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


def written(app: ASGIApp, *received: bytes, wire: Wire | None = None) -> Wire:
    """What is written when this has come, part by part."""
    wire = wire or Wire()

    async def main() -> None:
        config = server_config(app, Settings())
        config.load()
        connection = StrictConnection(config=config, server_state=ServerState(), app_state={})
        connection.connection_made(wire)
        for part in received:
            connection.data_received(part)
            for _ in range(TURNS):
                await asyncio.sleep(0)

    asyncio.run(main())
    return wire


def shortened(writes: list[bytes]) -> list[tuple[bytes, bytes]]:
    """First line and body of each write; of one without a head, the whole of it is the body."""
    parts = [own.rpartition(b"\r\n\r\n") if own.startswith(b"HTTP/") else (b"", b"", own) for own in writes]
    return [(head.partition(b"\r\n")[0], body) for head, _, body in parts]


def test_an_answer_is_written_at_once():
    wire = written(PlainTextResponse("hello"), GET)
    assert shortened(wire.writes) == [(b"HTTP/1.1 200 OK", b"hello")]
    assert not wire.closed


@pytest.mark.parametrize(
    ("request_", "answer"),
    [(GET.replace(b"GET", b"HEAD"), PlainTextResponse("hello")), (GET, PlainTextResponse(status_code=204))],
    ids=["to HEAD", "without a body"],
)
def test_a_head_alone_is_written_too(request_: bytes, answer: ASGIApp):
    ((_, body),) = shortened(written(answer, request_).writes)
    assert body == b""


def test_answers_to_requests_sent_ahead_are_each_written_whole():
    wire = written(PlainTextResponse("hello"), GET * 3)
    assert shortened(wire.writes) == [(b"HTTP/1.1 200 OK", b"hello")] * 3


def test_parts_of_an_answer_are_written_as_they_come():
    async def parts() -> AsyncIterator[str]:
        yield "one"
        yield "HTTP/1.1 100 "

    first, *others = written(StreamingResponse(parts()), GET).writes
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert others == [b"d\r\nHTTP/1.1 100 \r\n", b"0\r\n\r\n"]


def test_who_waits_to_be_told_to_go_on_is_told_before_the_answer():
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse((await receive())["body"])(scope, receive, send)

    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    wire = written(echo, head, b"hello")
    assert shortened(wire.writes) == [(b"HTTP/1.1 100 Continue", b""), (b"HTTP/1.1 200 OK", b"hello")]


def test_a_connection_is_read_while_its_request_is_in_work_so_that_hanging_up_is_heard():
    wire, seen = Wire(), []

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        seen.append(wire.is_read)
        await PlainTextResponse("hello")(scope, receive, send)

    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    written(work, head, b" " * 1_000_000, wire=wire)
    assert seen == [True]


def test_what_is_kept_is_written_before_the_connection_is_closed():
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        raise ValueError("mine")

    wire = written(fail, GET)
    assert shortened(wire.writes) == [(b"HTTP/1.1 200 OK", b"")]
    assert wire.closed


def test_a_request_sees_how_many_are_under_way():
    seen: list[int] = []
    first, second = asyncio.Event(), asyncio.Event()

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(len(scope["state"][UNDER_WAY]))
        if scope["path"] == "/second":
            second.set()
        if scope["path"] == "/first":
            first.set()
            await second.wait()
        await PlainTextResponse("hello")(scope, receive, send)

    async def ask(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=SECONDS, verify=False) as client:
            waiting = asyncio.create_task(client.get("/first"))
            await first.wait()
            await client.get("/second")
            await waiting
            await client.get("/alone")

    serve_while(look, ask)
    assert seen == [1, 2, 1]


def test_nothing_is_made_of_what_a_proxy_says():
    """Nobody here would look at it, and to read it costs every request."""
    seen: list[str] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["scheme"])
        await PlainTextResponse("hello")(scope, receive, send)

    async def ask(address: str) -> None:
        headers = {"X-Forwarded-Proto": "https"}
        async with httpx.AsyncClient(base_url=address, timeout=SECONDS, verify=False, headers=headers) as client:
            await client.get("/")

    serve_while(look, ask)
    assert seen == ["http"]


def serve_while(app: ASGIApp, ask: Callable[[str], Any]) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = DrainingServer(server_config(app, Settings()), Settings())
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await ask(f"http://127.0.0.1:{listening.getsockname()[1]}")
            server.should_exit = True
            await serving

    asyncio.run(main())
