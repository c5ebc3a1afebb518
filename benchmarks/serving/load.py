"""Asks a server one prepared question over many connections, and compares every answer, byte by byte.

It is one thread around epoll, because that asks several times as fast as the servers answer: `Rate.busy` tells by how
much. Not here: what is asked, and what the answer must be (`questions`).
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

TIMEOUT_SECONDS = 30.0
RECEIVED_BYTES = 2**18
HEAD_END = b"\r\n\r\n"
OK = 200
OK_SENT = b" 200 "
STATUS = slice(8, 13)  # of "HTTP/1.1 200 OK"


class LoadError(Exception):
    """A server gave another answer than the one it must give."""


@dataclass(frozen=True)
class Rate:
    """What a closed loop found.

    Attributes:
        per_second: answers.
        busy: share of the time in which the load's own core was at work; near 1 it would be what limits the rate.
    """

    per_second: float
    busy: float


@dataclass
class _Connection:
    socket: socket.socket
    received: bytes = b""
    due: float = 0.0


def ask_once(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of one answer."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as own:
        own.sendall(request)
        received = b""
        while (answer := _split(received)) is None:
            more = own.recv(RECEIVED_BYTES)
            if not more:
                raise LoadError(f"The connection was closed after {received[:200]!r}")
            received += more
    return answer


def ask_for(
    port: int, request: bytes, expected: bytes, *, seconds: float = 0.0, times: int = 0, n_connections: int = 16
) -> Rate:
    """A closed loop: every connection asks again as soon as it is answered.

    Args:
        port: of the server, on this machine.
        request: head and body.
        expected: body of every answer.
        seconds: how long, at least.
        times: how many answers, at least.
        n_connections: that ask at the same time.

    Raises:
        LoadError: a status other than 200, another body, or a closed connection.
    """
    n_answers, ending = 0, HEAD_END + expected
    with _connected(port, n_connections) as (connections, poll):
        started, at_work = time.perf_counter(), time.process_time()
        for own in connections.values():
            own.socket.sendall(request)
        while (elapsed := time.perf_counter() - started) < seconds or n_answers < times:
            ready = poll.poll(TIMEOUT_SECONDS)
            if not ready:
                raise LoadError(f"No answer within {TIMEOUT_SECONDS:g} s")
            for number, _ in ready:
                own = connections[number]
                if _is_answered(own, ending):
                    n_answers += 1
                    own.socket.sendall(request)
        return Rate(n_answers / elapsed, (time.process_time() - at_work) / elapsed)


def latencies(
    port: int, request: bytes, expected: bytes, *, per_second: float, seconds: float, n_connections: int = 64
) -> np.ndarray:
    """An open loop: requests are due at even distances, whether or not earlier ones are answered.

    Returns:
        Seconds from when each request was due to its answer: a server that stops for a while is charged for all that
        had to wait, not only for the one it was working on.

    Raises:
        LoadError: as `ask_for` does.
    """
    n_requests = int(per_second * seconds)
    waits: list[float] = []
    ending = HEAD_END + expected
    with _connected(port, n_connections) as (connections, poll):
        free = deque(connections.values())
        started, n_sent, last = time.perf_counter(), 0, time.perf_counter()
        while len(waits) < n_requests:
            now = time.perf_counter()
            while free and n_sent < n_requests and started + n_sent / per_second <= now:
                own = free.popleft()
                own.due = started + n_sent / per_second
                own.socket.sendall(request)
                n_sent += 1
            for number, _ in poll.poll(0):  # without sleeping: the load has a core to itself
                own = connections[number]
                if _is_answered(own, ending):
                    last = time.perf_counter()
                    waits.append(last - own.due)
                    free.append(own)
            if now - last > TIMEOUT_SECONDS:
                raise LoadError(f"No answer within {TIMEOUT_SECONDS:g} s")
    return np.array(waits)


@contextmanager
def _connected(port: int, n_connections: int) -> Iterator[tuple[dict[int, _Connection], select.epoll]]:
    """Connections by the number of their file, and what tells which of them have something to read."""
    connections: dict[int, _Connection] = {}
    with select.epoll() as poll:
        try:
            for _ in range(n_connections):
                own = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
                own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[own.fileno()] = _Connection(own)
                poll.register(own.fileno(), select.EPOLLIN)
            yield connections, poll
        finally:
            for connection in connections.values():
                connection.socket.close()


def _is_answered(own: _Connection, ending: bytes) -> bool:
    """Read what has come; whether the answer is whole, and ends as it must: the end of the head, and the body.

    Raises:
        LoadError: it is whole and wrong, or none will come.
    """
    data = own.socket.recv(RECEIVED_BYTES)
    if not data:
        raise LoadError(f"The connection was closed after {own.received[:200]!r}")
    received = own.received + data if own.received else data
    if received.endswith(ending) and received[STATUS] == OK_SENT:  # nearly always: nothing is parsed
        own.received = b""
        return True
    answer = _split(received)
    if answer is None:
        own.received = received
        return False
    raise LoadError(f"Status {answer[0]}, body {answer[1][:300]!r} in place of {ending[len(HEAD_END) : 300]!r}")


def _split(received: bytes) -> tuple[int, bytes] | None:
    """Status and body; None while the answer is not whole."""
    head, end, body = received.partition(HEAD_END)
    if not end:
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return (int(head.split()[1]), body) if len(body) >= int(value) else None
    raise LoadError(f"An answer without Content-Length: {head[:300]!r}")
