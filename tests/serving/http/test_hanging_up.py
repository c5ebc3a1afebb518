"""Who hangs up is counted as that. What has not begun for them never does; the rest keeps its place."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.scheduling.thread_pool import ThreadPool
from serving.versions.served_model import ServedModel, loader
from serving.versions.store import OpenedVersion
from tests.serving.asking import JSON
from tests.serving.bundles import publish_sales
from tests.serving.http.test_connection import serve_while
from tests.serving.http.test_hostile_wire import whole
from tests.serving.http.test_limits import BODY, LARGE, Waiting, waiting_app
from tests.serving.load import eventually
from tests.serving.versions.test_champions import Server

NAME = "ice cream"
PATH = "/models/ice%20cream/predict"
ANSWERED = 'serving_requests_total{model="ice cream",protocol="native",status="%d"}'
MUCH = BODY + b" " * 2**20  # more than comes in one piece


class Asked:
    """A server whose model answers when it is let.

    Args:
        address: of the server.
        predictor: of its model.
    """

    def __init__(self, address: str, predictor: Waiting) -> None:
        self.predictor = predictor
        self._address = address

    def begin(self, *, body: bytes = LARGE) -> socket.socket:
        """A connection on which a prediction was asked for."""
        url = httpx.URL(self._address)
        client = socket.create_connection((url.host, url.port or 0))
        client.sendall(whole(PATH, body=body))
        return client

    def status(self) -> int:
        """Of the answer to a prediction."""
        return httpx.post(f"{self._address}{PATH}", content=LARGE, headers=JSON, timeout=60, verify=False).status_code

    def counted(self, status: int) -> int:
        return self._metric(ANSWERED % status)

    def running(self) -> int:
        return self._metric("serving_requests_running")

    def _metric(self, name: str) -> int:
        lines = httpx.get(f"{self._address}/metrics", timeout=60, verify=False).text.splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")))


def asking(folder: Path, main: Callable[[Asked], None], **changes: Any) -> None:
    """Run what is asked of a server."""
    app, predictor = waiting_app(folder, **changes)

    async def ask(address: str) -> None:
        try:
            await asyncio.to_thread(main, Asked(address, predictor))
        finally:
            predictor.let.set()

    serve_while(app, ask)


@pytest.mark.parametrize("body", [LARGE, MUCH], ids=["a body in one piece", "a body in many"])
def test_who_hangs_up_during_a_prediction_is_counted_and_logged_as_such(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, body: bytes
):
    caplog.set_level(logging.INFO, "serving.requests")

    def main(asked: Asked) -> None:
        client = asked.begin(body=body)
        eventually(lambda: asked.predictor.n_runs == 1)
        client.close()
        eventually(lambda: asked.counted(499) == 1)
        asked.predictor.let.set()
        assert asked.status() == 200
        assert (asked.counted(200), asked.counted(499)) == (1, 1)

    asking(tmp_path, main)
    told = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "request"]
    assert [fields["status"] for fields in told if fields["path"].endswith("/predict")] == [499, 200]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_waits_for_a_thread_is_never_begun_once_its_caller_has_hung_up(tmp_path: Path):
    def main(asked: Asked) -> None:
        with asked.begin():
            eventually(lambda: asked.predictor.n_runs == 1)
            others = [asked.begin() for _ in range(3)]
            eventually(lambda: asked.running() == 5)  # with the one that asks
            for client in others:
                client.close()
            eventually(lambda: asked.counted(499) == 3)
            asked.predictor.let.set()
            assert asked.status() == 200
        assert asked.predictor.n_runs == 2, "the first and the last"

    asking(tmp_path, main, pool=ThreadPool(at_most=1))


def test_who_hangs_up_keeps_the_place_until_the_work_has_ended(tmp_path: Path):
    def main(asked: Asked) -> None:
        client = asked.begin()
        eventually(lambda: asked.predictor.n_runs == 1)
        client.close()
        eventually(lambda: asked.counted(499) == 1)
        assert asked.status() == 503
        asked.predictor.let.set()
        eventually(lambda: asked.status() == 200)

    asking(tmp_path, main, max_concurrent=1)


def test_a_version_that_callers_wait_for_in_vain_is_put_back(tmp_path: Path):
    slow: list[Waiting] = []

    def load(opened: OpenedVersion) -> ServedModel:
        own = loader(threads=1, max_rows=100)(opened)
        if opened.version == "1":
            return own
        slow.append(Waiting(own))
        return replace(own, predictor=slow[-1])

    publish_sales(tmp_path, version=1)
    server = Server(tmp_path, load=load)
    publish_sales(tmp_path, version=2)
    server.champions.refresh()
    (predictor,) = slow

    def main(asked: Asked) -> None:
        for n_before in range(20):
            client = asked.begin()
            eventually(lambda: asked.running() == 2)  # with the one that asks
            client.close()
            eventually(lambda n=n_before: asked.counted(499) == n + 1)
            assert server.champions[NAME].version == "2"
        server.champions.put_back_failing()
        assert server.champions[NAME].version == "1"

    async def ask(address: str) -> None:
        try:
            await asyncio.to_thread(main, Asked(address, predictor))
        finally:
            predictor.let.set()

    serve_while(server.app, ask)
