"""uvicorn's server as we run it, with an end that loses no request: connections are told to close before they close.

uvicorn closes a connection that is idle at that moment, and a request that is on its way there is lost; so is one that
the system has accepted, but not yet uvicorn. Here every connection may bring one more request: its answer says
`Connection: close`.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from serving.http.connection import StrictConnection
from serving.http.connection_timeouts import ConnectionTimeouts, break_off
from serving.request_context import UNDER_WAY
from serving.settings import Settings

DRAIN_SECONDS = 3  # a client that asks again sooner than that loses nothing
TICK_SECONDS = 0.02
STEPS = 3  # of the event loop, in which a connection that it has accepted gets its protocol
TICKS = 10  # of uvicorn's between two looks at what waits
LAST_SECONDS = 0.3  # before uvicorn cancels what runs, as a defect: it looks ten times a second whether something does


def server_config(app: ASGIApp, settings: Settings, *, traced: bool = False) -> uvicorn.Config:
    """How uvicorn serves an application; benchmarks serve others so, too."""
    return uvicorn.Config(
        app,
        # Named, since what uvicorn chooses by itself depends on what happens to be installed.
        loop="asyncio" if sys.platform == "win32" else "uvloop",
        http=StrictConnection,
        log_config=None,
        log_level=settings.log_level,
        access_log=False,  # `instrumentation` writes a line a request
        server_header=False,
        proxy_headers=False,  # nothing asks where a request came from
        lifespan="on" if traced else "off",  # FastAPI sets its exporters up then
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_seconds - _drain_seconds(settings),
    )


class DrainingServer(uvicorn.Server):
    """Ends by draining its connections, and hangs up on those that bring no request or read no answer.

    Args:
        config: as `server_config` makes it.
        settings: of the server.
    """

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._timeouts = ConnectionTimeouts(settings.request_seconds)
        self._drain_seconds = _drain_seconds(settings)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, whose requests can see how many are under way."""
        self.lifespan.state[UNDER_WAY] = self.server_state.tasks
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second, until it says that the server should end."""
        if counter % TICKS == 0:
            self._timeouts.enforce(self.server_state.connections, time.monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, answer what comes on those that there are, then close them."""
        await self._stop_accepting(sockets or [])
        closing = (b"connection", b"close")
        self.server_state.default_headers = [*self.server_state.default_headers, closing]
        deadline = time.monotonic() + self._drain_seconds
        # uvicorn tells nobody that a connection has closed.
        while self.server_state.connections and time.monotonic() < deadline and not self.force_exit:  # noqa: ASYNC110  as said
            await asyncio.sleep(TICK_SECONDS)
        last = (self.config.timeout_graceful_shutdown or 0) - LAST_SECONDS
        asyncio.get_running_loop().call_later(last, break_off, self.server_state.connections)
        await super().shutdown(sockets)

    async def _stop_accepting(self, sockets: Sequence[socket.socket]) -> None:
        """Take the connections that wait for us, then close the port: closing it would reset them."""
        ports = [each.dup() for each in sockets]  # which stay open when the loop closes those that it accepts from
        for server in self.servers:
            server.close()
        for _ in range(STEPS):
            await asyncio.sleep(0)
        waiting = [accepted for port in ports for accepted in _accept_all(port)]
        for listening in (*ports, *sockets):
            listening.close()
        protocol: Any = self.config.http_protocol_class  # with more arguments than asyncio's own
        make = partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        loop = asyncio.get_running_loop()
        for accepted in waiting:
            await loop.connect_accepted_socket(make, accepted)


def _accept_all(listening: socket.socket) -> Iterator[socket.socket]:
    """Every connection that waits to be accepted."""
    with suppress(OSError):  # BlockingIOError when there is no more; and some are gone before they are accepted
        while True:
            accepted, _ = listening.accept()
            accepted.settimeout(0)
            yield accepted


def _drain_seconds(settings: Settings) -> int:
    """What is not used up for answers that may still be asked for is left for those that are under way."""
    return min(DRAIN_SECONDS, settings.shutdown_seconds // 2)
