"""Hangs up on connections that bring no request: uvicorn waits for the end of a request's head as long as it takes.

Not here: how long a body may take (`limits`), and how long a connection may rest between two requests (uvicorn, 5 s).
"""

from collections.abc import Iterable
from typing import Any


class HeadLimit:
    """Bounds the time from a connection's first byte, or its opening, to the end of a request's head.

    Args:
        seconds: at most.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Any, float] = {}

    def enforce(self, connections: Iterable[Any], now: float) -> None:
        """Close the connections that have waited too long; to be called every second or so.

        Args:
            connections: all that are open, as uvicorn's protocols for HTTP/1.1.
            now: `time.monotonic()`.
        """
        self._since = {own: self._since.get(own, now) for own in connections if _waits_for_a_head(own)}
        for own, since in self._since.items():
            if now - since > self._seconds:
                own.transport.close()


def _waits_for_a_head(connection: Any) -> bool:
    """Whether nothing is in work, and no rest between two requests runs out by itself."""
    cycle = connection.cycle  # of the last request; None before the first one
    return cycle is None or (cycle.response_complete and connection.timeout_keep_alive_task is None)
