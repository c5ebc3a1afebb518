"""Whoever asks and does not read the answers loses the connection, and takes nothing from the others for long."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from serving.http.connection_timeouts import ConnectionTimeouts
from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.http.test_hostile_wire import NATIVE, read_answer, whole
from tests.serving.load import eventually
from tests.serving.processes import Running, running

MANY = json.dumps({"rows": [SALES_ROW] * 10_000}).encode()
PLACES, SECONDS, LONGER_SECONDS = 2, 2, 6
TRIES = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    yield from serving(tmp_path, SECONDS)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Running]:
    """A server that gives a slow machine the time to compute so many rows."""
    yield from serving(tmp_path, LONGER_SECONDS)


def serving(tmp_path: Path, seconds: int) -> Iterator[Running]:
    publish_sales(tmp_path)
    changes = {"SERVING_MAX_CONCURRENT": str(PLACES), "SERVING_REQUEST_SECONDS": str(seconds)}
    with running(tmp_path, SERVING_BUNDLES=str(tmp_path), SERVING_SHUTDOWN_SECONDS="4", **changes) as own:
        yield own
        assert own.stop() == 0
    assert "Traceback" not in (tmp_path / "stderr.log").read_text()


def ask_without_reading(server: Running, *, times: int) -> socket.socket:
    url = httpx.URL(server.address)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((url.host, url.port))
    with suppress(ConnectionError):  # it is lost, where this process was away for so long
        client.sendall(whole(NATIVE, body=MANY) * times)
    return client


def status_of_others(server: Running) -> int:
    return server.post(NATIVE, json={"rows": [SALES_ROW]}).status_code


def all_places_taken(opened: ExitStack, server: Running) -> list[socket.socket]:
    """By some who do not read; by others, if those have lost their places before they were seen to have them."""
    for _ in range(TRIES):
        clients = [opened.enter_context(ask_without_reading(server, times=8)) for _ in range(PLACES)]
        if any(status_of_others(server) == 503 for _ in range(TRIES)):
            return clients
    raise AssertionError("nobody was sent away")


def lose_their_connections(server: Running) -> bool:
    """Whether those who took all places, and did not read for as long as they may, get none of the last answers."""
    with ExitStack() as opened:
        clients = all_places_taken(opened, server)
        time.sleep(2 * SECONDS)
        eventually(lambda: status_of_others(server) == 200)
        return all(read_all(client).count(b"HTTP/1.1 200 OK") < 8 for client in clients)


def test_those_who_do_not_read_do_not_keep_their_places(server: Running):
    # On a machine that stalls the server may not have come to look, and another try may be needed.
    eventually(lambda: lose_their_connections(server))


def test_a_server_that_is_owed_reading_stops_without_a_defect(server: Running):
    with ExitStack() as opened:
        all_places_taken(opened, server)
        assert server.stop() == 0


def test_who_hangs_up_with_requests_ahead_is_no_defect(server: Running):
    for _ in range(3):
        with ask_without_reading(server, times=8) as client:
            assert client.recv(1) == b"H"
    eventually(lambda: status_of_others(server) == 200)


def has_all_answers(server: Running, *, pause_seconds: float) -> bool:
    """Whether who reads the answers to five requests, one after the other, gets each of them."""
    n_whole = 0
    with ask_without_reading(server, times=5) as client, suppress(ConnectionError, IndexError):  # broken off
        for _ in range(5):
            time.sleep(pause_seconds)
            status, _, body = read_answer(client)
            n_whole += status == 200 and body.count(b'"value"') == 10_000
    return n_whole == 5


def test_who_reads_in_time_may_be_slower_than_that_with_several_answers(patient: Running):
    # On a machine that stalls, which is not in time, another try may be needed.
    eventually(lambda: has_all_answers(patient, pause_seconds=LONGER_SECONDS / 4))


def read_all(client: socket.socket) -> bytes:
    """Until the server hangs up."""
    client.settimeout(60)
    received = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65_536):
            received += part
    return received


class Connection:
    """What is looked at of a connection, and what became of it."""

    def __init__(self, *, rests: bool = False) -> None:
        self.cycle = SimpleNamespace(response_complete=True)
        self.timeout_keep_alive_task = object() if rests else None
        self.unread_since: float | None = None
        self.transport: Any = self
        self.is_aborted = self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_aborted = True


def look(own: Connection, *, seconds: int) -> None:
    timeouts = ConnectionTimeouts(SECONDS)
    for now in range(seconds + 1):
        timeouts.enforce([own], now)


@pytest.mark.parametrize(("seconds", "is_aborted"), [(SECONDS, False), (SECONDS + 1, True)])
def test_one_that_is_being_closed_and_holds_what_nobody_reads_is_broken_off(seconds: int, *, is_aborted: bool):
    own = Connection(rests=True)
    own.close()
    look(own, seconds=seconds)
    assert own.is_aborted == is_aborted


@pytest.mark.parametrize(("seconds", "is_aborted"), [(SECONDS + 1, False), (SECONDS + 2, True)])
def test_one_without_a_head_is_closed_and_then_broken_off(seconds: int, *, is_aborted: bool):
    own = Connection()
    look(own, seconds=seconds)
    assert own.is_closed
    assert own.is_aborted == is_aborted
