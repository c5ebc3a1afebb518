"""Each limit has its own answer: bytes and rows 413, a slow body 408, too many at once 429 and 503, too slow 504."""

import asyncio
import gc
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serving.app import create_app
from serving.event_loop_budget import SMALL_BODY_BYTES
from serving.keys import KeyFile, add_key
from serving.scheduling.thread_pool import ThreadPool
from serving.settings import Settings
from serving.versions.served_model import ServedModel
from serving.worker import load_champions
from tests.serving.asking import JSON, app_of, ask
from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.load import eventually

BODY = json.dumps({"rows": [SALES_ROW]}).encode()
LARGE = BODY + b" " * SMALL_BODY_BYTES  # is answered in a thread


class Waiting:
    """A predictor that answers when it is let, and counts how often it was asked."""

    def __init__(self, own: ServedModel) -> None:
        self.contract = own.contract
        self.let = threading.Event()
        self.fails = False
        self.n_runs = 0
        self._own = own.predictor

    def predict(self, columns: Any) -> Any:
        self.n_runs += 1
        assert self.let.wait(60)
        assert not self.fails
        return self._own.predict(columns)


def waiting_app(
    folder: Path, *, keys: Any = None, pool: ThreadPool | None = None, **changes: Any
) -> tuple[FastAPI, Waiting]:
    publish_sales(folder)
    settings = Settings(bundles=folder, **changes)
    own = load_champions(settings)["ice cream"]
    predictor = Waiting(own)
    models = {"ice cream": replace(own, predictor=predictor)}
    return create_app(models, settings, keys=keys, pool=pool), predictor


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("declared", ["9" * 5_000, "9" * 19, "1000001", "0" * 5_000 + "1"])
def test_a_length_is_refused_as_it_is_declared_however_long_its_number(tmp_path: Path, declared: str):
    publish_sales(tmp_path)
    app = app_of(tmp_path, max_body_bytes=1_000_000)
    answer = ask(app, "POST", "/predict", content=BODY, headers={**JSON, "Content-Length": declared})
    assert code(answer) == (413, "body_too_large")


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path):
    app, predictor = waiting_app(tmp_path, request_seconds=1)
    answer = ask(app, "POST", "/predict", content=LARGE, headers=JSON)  # while the predictor waits for a minute
    predictor.let.set()
    assert code(answer) == (504, "prediction_too_slow")
    eventually(lambda: ask(app, "POST", "/predict", content=LARGE, headers=JSON).status_code == 200)


def ask_in_turn(
    app: FastAPI, predictor: Waiting, *, n_given_up: int, until: int = 200
) -> tuple[list[httpx.Response], int]:
    """Answers to requests that are given up, and to one right after them.

    And how often another one was asked until it had the status that it has once the predictor may answer.
    """

    async def main() -> tuple[list[httpx.Response], int]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:

            async def send() -> httpx.Response:
                return await client.post("/predict", content=LARGE, headers=JSON)

            answers = await asyncio.gather(*(send() for _ in range(n_given_up)))
            answers.append(await send())
            predictor.let.set()
            n_asked = 1
            while (await send()).status_code != until:
                await asyncio.sleep(0.05)
                n_asked += 1
            return answers, n_asked

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_who_is_given_up_keeps_the_place_until_the_work_has_ended(tmp_path: Path):
    app, predictor = waiting_app(tmp_path, max_concurrent=2, request_seconds=1)
    answers, _ = ask_in_turn(app, predictor, n_given_up=2)
    assert [own.status_code for own in answers] == [504, 504, 503]


def test_what_was_given_up_before_it_began_is_never_begun(tmp_path: Path):
    app, predictor = waiting_app(tmp_path, pool=ThreadPool(at_most=1), request_seconds=1)
    answers, n_asked = ask_in_turn(app, predictor, n_given_up=4)
    assert [own.status_code for own in answers] == [504] * 5
    assert predictor.n_runs <= 1 + n_asked, "the first, and those after all the others"


def test_work_that_fails_after_it_was_given_up_is_no_defect_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    app, predictor = waiting_app(tmp_path, max_concurrent=1, request_seconds=1)
    predictor.fails = True
    answers, _ = ask_in_turn(app, predictor, n_given_up=1, until=500)
    gc.collect()
    assert [own.status_code for own in answers] == [504, 503]
    assert "never retrieved" not in caplog.text


def test_a_body_that_never_ends_is_given_up(tmp_path: Path):
    async def endless() -> AsyncIterator[bytes]:
        yield BODY
        await asyncio.sleep(60)

    publish_sales(tmp_path)
    answer = ask(app_of(tmp_path, request_seconds=1), "POST", "/predict", content=endless(), headers=JSON)
    assert code(answer) == (408, "body_too_slow")
    assert answer.headers["Connection"] == "close"


async def ask_beside_others(
    app: FastAPI, predictor: Waiting, *, n_others: int, header: dict[str, str], of_others: dict[str, str]
) -> tuple[httpx.Response, list[httpx.Response]]:
    """One answer while others are in work, and theirs."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:

        async def send(header: dict[str, str]) -> httpx.Response:
            return await client.post("/predict", content=LARGE, headers=JSON | header)

        n_before = predictor.n_runs
        others = [asyncio.create_task(send(of_others)) for _ in range(n_others)]
        await asyncio.to_thread(eventually, lambda: predictor.n_runs - n_before == n_others)
        asked = asyncio.create_task(send(header))
        await asyncio.to_thread(eventually, lambda: asked.done() or predictor.n_runs - n_before > n_others)
        assert (await client.get("/live")).status_code == 200
        assert all(not other.done() for other in others)
        predictor.let.set()
        return await asked, await asyncio.gather(*others)


def test_more_requests_than_may_be_in_work_are_sent_away(tmp_path: Path):
    app, predictor = waiting_app(tmp_path, max_concurrent=2)
    answer, others = asyncio.run(ask_beside_others(app, predictor, n_others=2, header={}, of_others={}))
    assert code(answer) == (503, "overloaded")
    assert answer.headers["Retry-After"] == "1"
    assert [other.status_code for other in others] == [200, 200]
    assert ask(app, "POST", "/predict", content=BODY, headers=JSON).status_code == 200


def test_one_key_cannot_take_all_places(tmp_path: Path):
    path = tmp_path / "keys.json"
    one, two = ({"Authorization": f"Bearer {add_key(path, name=name, role='reader')}"} for name in ("one", "two"))
    app, predictor = waiting_app(tmp_path, keys=KeyFile(path), max_concurrent_per_key=2)
    answer, others = asyncio.run(ask_beside_others(app, predictor, n_others=2, header=one, of_others=one))
    assert code(answer) == (429, "too_many_at_once")
    assert answer.headers["Retry-After"] == "1"
    assert [other.status_code for other in others] == [200, 200]
    predictor.let.clear()
    answer, others = asyncio.run(ask_beside_others(app, predictor, n_others=2, header=two, of_others=one))
    assert [answer.status_code, *(other.status_code for other in others)] == [200, 200, 200]
