"""What whoever runs a server asks of it may take long, too: it follows the law of predictions, apart from them."""

import asyncio
import threading
from collections.abc import Iterator, ValuesView
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from serving.app import create_app
from serving.background import BackgroundThreads
from serving.monitoring.counters import Counters
from serving.request_context import current_request
from serving.scheduling.thread_pool import FEW_THREADS
from serving.settings import Settings
from serving.versions.answer_monitor import AnswerMonitor
from serving.versions.served_model import ServedModel
from serving.worker import load_champions
from tests.serving.asking import JSON
from tests.serving.bundles import publish_sales
from tests.serving.http.test_limits import LARGE
from tests.serving.load import eventually

RELOAD = ("POST", "/models/ice%20cream/reload")
ASKED = pytest.mark.parametrize(
    "asked", [RELOAD, ("GET", "/metrics"), ("GET", "/openapi.json")], ids=["reload", "metrics", "description"]
)


class Gate:
    """Lets through whoever comes once it is open, and knows who came."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.came: set[str] = set()

    def pass_through(self) -> None:
        context = current_request()
        assert context is not None
        self.came.add(context.request_id)
        assert self.open.wait(60)


class Models(dict[str, ServedModel]):
    """Whoever looks at all of them passes the gate."""

    gate: Gate

    def values(self) -> ValuesView[ServedModel]:
        self.gate.pass_through()
        return super().values()


class GatedKeeper(BackgroundThreads):
    """Whoever asks it passes the gate."""

    gate: Gate

    def knows(self, name: str) -> bool:
        self.gate.pass_through()
        return super().knows(name)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def gated_app(folder: Path, gate: Gate, **changes: Any) -> ASGIApp:
    publish_sales(folder)
    settings, counters = Settings(bundles=folder, **changes), Counters()
    champions = load_champions(settings, counters)
    background = GatedKeeper(champions, AnswerMonitor(champions, None, counters), counters, poll_seconds=60)
    models = Models(champions)
    models.gate = background.gate = gate
    return create_app(models, settings, background=background)


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://server")


@ASKED
def test_what_is_given_up_keeps_its_thread_and_what_waits_behind_it_never_begins(
    tmp_path: Path, gate: Gate, asked: tuple[str, str]
):
    app = gated_app(tmp_path, gate, request_seconds=1)

    async def main() -> None:
        async with client_of(app) as client:
            for _ in range(2):
                answers = await asyncio.gather(*(client.request(*asked) for _ in range(FEW_THREADS + 2)))
                assert {answer.status_code for answer in answers} == {504}
                assert len(gate.came) == FEW_THREADS
            gate.open.set()
            assert (await client.request(*asked)).status_code == 200
            assert len(gate.came) == FEW_THREADS + 1

    asyncio.run(main())


def test_a_reload_that_is_given_up_keeps_its_place_until_it_has_ended(tmp_path: Path, gate: Gate):
    app = gated_app(tmp_path, gate, request_seconds=1, max_concurrent=1)

    async def main() -> None:
        async with client_of(app) as client:
            assert (await client.request(*RELOAD)).status_code == 504
            assert (await client.request(*RELOAD)).status_code == 503
            gate.open.set()
            answer = await client.request(*RELOAD)
            while answer.status_code == 503:
                await asyncio.sleep(0.02)
                answer = await client.request(*RELOAD)
            assert answer.status_code == 200

    asyncio.run(asyncio.wait_for(main(), 60))


@ASKED
def test_no_prediction_waits_for_them(tmp_path: Path, gate: Gate, asked: tuple[str, str]):
    app = gated_app(tmp_path, gate)

    async def main() -> None:
        async with client_of(app) as client:
            waiting = [asyncio.create_task(client.request(*asked)) for _ in range(40)]
            await asyncio.to_thread(eventually, lambda: len(gate.came) == FEW_THREADS)
            answer = await client.post("/models/ice%20cream/predict", content=LARGE, headers=JSON)
            assert answer.status_code == 200
            gate.open.set()
            assert {(await answer).status_code for answer in waiting} == {200}

    asyncio.run(asyncio.wait_for(main(), 60))
