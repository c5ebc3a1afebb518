"""Hangs up on connections that bring no request, or do not read what they asked for: uvicorn waits as long as it takes.

Who does not read keeps a slot of the concurrency limit, and memory for what is written. Not here: how long a body may
take (`limits`), and how long a connection may rest between two requests (uvicorn, 5 s).
"""

from collections.abc import Iterable
from typing import Any


class ConnectionTimeouts:
    """Bounds how long a connection may take to send a request's head, and to read an answer.

    A head counts from the connection's first byte, or its opening; reading from when more is written than the system
    takes, and while a connection is being closed, from then.

    Args:
        seconds: at most, for each.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Any, float] = {}

    def enforce(self, connections: Iterable[Any], now: float) -> None:
        """Close the connections that have sent nothing for too long, and break off those that have read nothing.

        To be called every second or so.

        Args:
            connections: all that are open, as `connection` keeps them.
            now: `time.monotonic()`.
        """
        connections = list(connections)
        waiting = [each for each in connections if each.transport.is_closing() or _waits_for_a_head(each)]
        self._since = {connection: self._since.get(connection, now) for connection in waiting}
        for connection in connections:
            unread = connection.unread_since
            if unread is not None and now - unread > self._seconds:
                connection.transport.abort()
        for connection, since in self._since.items():
            if now - since > self._seconds:
                _end(connection.transport)


def break_off(connections: Iterable[Any]) -> None:
    """End those to whom only writing is left, which they do not let us."""
    for connection in list(connections):
        if connection.unread_since is not None or connection.transport.is_closing():
            connection.transport.abort()


def _end(transport: Any) -> None:
    """Close, or what that left open because something is still to be written: break it off."""
    if transport.is_closing():
        transport.abort()
    else:
        transport.close()


def _waits_for_a_head(connection: Any) -> bool:
    """Whether nothing is in work, and no rest between two requests runs out by itself."""
    cycle = connection.cycle  # of the last request; None before the first one
    return cycle is None or (cycle.response_complete and connection.timeout_keep_alive_task is None)
