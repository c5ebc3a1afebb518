"""uvicorn's server as we run it, with an end that loses no request: connections are told to close before they close.

uvicorn closes a connection that is idle at that moment, and a request that is on its way there is lost. Here every
connection may bring one more request: its answer says `Connection: close`.
"""

import asyncio
import socket
import time

import uvicorn
from starlette.types import ASGIApp

from serving.heads import HeadLimit
from serving.settings import Settings

DRAIN_SECONDS = 1.0  # a client that asks again sooner than that loses nothing
TICK_SECONDS = 0.02
TICKS = 10  # of uvicorn's between two looks at what waits


def server_config(app: ASGIApp, settings: Settings, *, traced: bool = False) -> uvicorn.Config:
    """How uvicorn serves an application; benchmarks serve others so, too."""
    return uvicorn.Config(
        app,
        log_config=None,
        log_level=settings.log_level,
        access_log=False,  # `observing` writes a line a request
        server_header=False,
        lifespan="on" if traced else "off",  # FastAPI sets its exporters up then
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


class DrainingServer(uvicorn.Server):
    """Ends by draining its connections, and hangs up on those that bring no request.

    Args:
        config: as `server_config` makes it.
        settings: of the server.
    """

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._heads = HeadLimit(settings.request_seconds)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second, until it says that the server should end."""
        if counter % TICKS == 0:
            self._heads.enforce(self.server_state.connections, time.monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no connection, answer what comes on those that there are, then close them."""
        for server in self.servers:
            server.close()
        for own in sockets or ():
            own.close()
        closing = (b"connection", b"close")
        self.server_state.default_headers = [*self.server_state.default_headers, closing]
        deadline = time.monotonic() + DRAIN_SECONDS
        # uvicorn tells nobody that a connection has closed.
        while self.server_state.connections and time.monotonic() < deadline and not self.force_exit:  # noqa: ASYNC110  as said
            await asyncio.sleep(TICK_SECONDS)
        await super().shutdown(sockets)
