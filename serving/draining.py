"""uvicorn's server, with an end that loses no request: connections are told to close before they are closed.

uvicorn closes a connection that is idle at that moment, and a request that is on its way there is lost. Here every
connection may bring one more request: its answer says `Connection: close`.
"""

import asyncio
import socket
import time

import uvicorn

DRAIN_SECONDS = 1.0  # a client that asks again sooner than that loses nothing
TICK_SECONDS = 0.02


class DrainingServer(uvicorn.Server):
    """Ends by draining its connections."""

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
