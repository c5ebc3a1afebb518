"""Small requests that are here at the same time go through the model in one run; each gets its own answer."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.types import ASGIApp

from serving.app import create_app
from serving.event_loop_budget import SMALL_ROWS
from serving.http.eager_start import EagerStart
from serving.request_context import UNDER_WAY
from serving.scheduling.micro_batching import MOST_REQUESTS, MOST_ROWS
from serving.settings import Settings
from serving.versions.served_model import ServedModel
from serving.worker import load_champions
from tests.serving.asking import JSON
from tests.serving.bundles import SALES_ROW, publish_sales

TOO_HOT = 1e300  # finite in float64, and not in the model's float32


class Counting:
    """A predictor that writes down how many rows each of its runs had, and may fail on hot days."""

    def __init__(self, model: ServedModel) -> None:
        self.contract = model.contract
        self.fails_above = np.inf
        self.runs: list[int] = []
        self._predictor = model.predictor

    def predict(self, columns: Any) -> Any:
        hottest = columns["Temperatur in °C"].max()
        self.runs.append(len(columns["humidity"]))
        if hottest > self.fails_above:
            raise RuntimeError("too hot")
        return self._predictor.predict(columns)


def counting_app(folder: Path, *, rows_at_once: int = SMALL_ROWS, **changes: Any) -> tuple[ASGIApp, Counting]:
    publish_sales(folder)
    settings = Settings(bundles=folder, **changes)
    model = load_champions(settings)["ice cream"]
    predictor = Counting(model)
    return create_app(
        {"ice cream": replace(model, predictor=predictor, rows_at_once=rows_at_once)}, settings
    ), predictor


def ask_all(app: ASGIApp, bodies: Sequence[dict[str, Any]], *, path: str = "/predict") -> list[httpx.Response]:
    """Answers to requests that are all there at the same time."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            asked = [client.post(path, content=json.dumps(body).encode(), headers=JSON) for body in bodies]
            return await asyncio.gather(*asked)

    return asyncio.run(send())


def rows(*temperatures: float) -> dict[str, Any]:
    return {"rows": [{**SALES_ROW, "Temperatur in °C": temperature} for temperature in temperatures]}


def values(answer: httpx.Response) -> list[float]:
    assert answer.status_code == 200, answer.text
    return [prediction["value"] for prediction in answer.json()["predictions"]]


def test_requests_that_are_here_together_share_a_run_and_have_their_own_answers(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    asked = [[float(place), place + 0.5] for place in range(10)]
    alone = [values(ask_all(app, [rows(*temperatures)])[0]) for temperatures in asked]
    predictor.runs.clear()
    assert [values(answer) for answer in ask_all(app, [rows(*temperatures) for temperatures in asked])] == alone
    assert predictor.runs == [20]


def test_answers_are_the_same_together_and_alone(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    bodies = [
        rows(1.0, 2.0),
        {"rows": [{**SALES_ROW, "humidity": None}, SALES_ROW]},  # by a rule of the contract
        {"rows": [{**SALES_ROW, "humidity": 40}]},
    ]
    alone = [ask_all(app, [body])[0].json() for body in bodies]
    assert alone[1]["predictions"][0]["rules"] == {"humidity": "missing"}
    predictor.runs.clear()
    assert [answer.json() for answer in ask_all(app, bodies)] == alone
    assert predictor.runs == [5]


def test_a_row_that_does_not_fit_fails_alone(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    wrong = {"rows": [SALES_ROW, {**SALES_ROW, "Temperatur in °C": True}]}
    good, bad, other, worse = ask_all(app, [rows(1.0), wrong, rows(3.0, 4.0), {"rows": [7]}])
    assert [len(values(good)), len(values(other))] == [1, 2]
    assert (bad.status_code, worse.status_code) == (422, 422)
    assert bad.json()["error"]["details"][0]["path"] == ["rows", 1, "Temperatur in °C"]
    assert predictor.runs == [3]


def test_where_no_row_fits_the_model_has_no_run(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    answers = ask_all(app, [{"rows": [{"humidity": 1.0}]}] * 3)
    assert [answer.status_code for answer in answers] == [422] * 3
    assert predictor.runs == []


@pytest.mark.parametrize(("n_under_way", "is_answered_at_once"), [(1, True), (2, False), (0, False)])
def test_only_who_is_alone_waits_for_nobody(tmp_path: Path, *, n_under_way: int, is_answered_at_once: bool):
    app, predictor = counting_app(tmp_path)
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "state": {UNDER_WAY: set(range(n_under_way))},
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(rows(1.0)).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        started = EagerStart(app(scope, receive, send))
        assert started.is_done == is_answered_at_once
        await started

    asyncio.run(main())
    assert [message.get("status") for message in sent] == [200, None]
    assert predictor.runs == [1]


def test_protocols_share_runs(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    record = {"inputs": [{"name": "Temperatur in °C", "shape": [1, 1], "datatype": "FP64", "data": [20.0]}]}
    record["inputs"].append({"name": "humidity", "shape": [1, 1], "datatype": "FP64", "data": [50.0]})
    for path, body in (
        ("/invocations", {"dataframe_records": [{**SALES_ROW, "humidity": 50.0}]}),
        ("/v2/models/ice%20cream/infer", record),
    ):
        predictor.runs.clear()
        assert [answer.status_code for answer in ask_all(app, [body] * 3, path=path)] == [200] * 3
        assert predictor.runs == [3], path


def test_a_large_request_waits_for_nobody(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    answers = ask_all(app, [rows(1.0), rows(*range(MOST_ROWS + 1)), rows(2.0)])
    assert [len(values(answer)) for answer in answers] == [1, MOST_ROWS + 1, 1]
    assert sorted(predictor.runs) == [2, MOST_ROWS + 1]


def test_a_turn_of_the_event_loop_has_no_more_rows_than_it_may(tmp_path: Path):
    app, predictor = counting_app(tmp_path, rows_at_once=4)
    turns: list[int] = []

    async def main() -> list[httpx.Response]:
        async def take_turns() -> None:
            while True:
                turns.append(len(predictor.runs))
                await asyncio.sleep(0)

        others = asyncio.create_task(take_turns())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            asked = [client.post("/predict", json=rows(*[20.0] * n_rows)) for n_rows in (3, 1, 2, 3, 4, 1, 1)]
            answers = await asyncio.gather(*asked)
        others.cancel()
        return answers

    assert [len(values(answer)) for answer in asyncio.run(main())] == [3, 1, 2, 3, 4, 1, 1]
    assert predictor.runs == [4, 2, 3, 4, 2]
    assert set(turns) == {0, 1, 2, 3, 4, 5}, "somebody else had a turn between any two"


def test_a_row_without_a_finite_prediction_fails_alone(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    good, bad, other = ask_all(app, [rows(1.0), rows(2.0, TOO_HOT), rows(3.0)])
    assert [len(values(good)), len(values(other))] == [1, 1]
    assert bad.status_code == 422
    assert bad.json()["error"]["details"][0]["path"] == ["rows", 1]
    assert predictor.runs == [4, 1, 2, 1]


def test_a_row_on_which_the_model_breaks_breaks_no_other_answer(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    predictor.fails_above = 100.0
    good, bad, other = ask_all(app, [rows(1.0), rows(200.0), rows(3.0)])
    assert [len(values(good)), len(values(other))] == [1, 1]
    assert bad.status_code == 500


def test_more_than_may_wait_are_answered_alone(tmp_path: Path):
    app, predictor = counting_app(tmp_path)
    answers = ask_all(app, [rows(float(temperature)) for temperature in range(MOST_REQUESTS + 9)])
    assert all(len(values(answer)) == 1 for answer in answers)
    assert sorted(predictor.runs) == [*[1] * 9, MOST_REQUESTS]


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_who_waits_takes_no_more_than_half_of_the_places(tmp_path: Path, most: int):
    app, predictor = counting_app(tmp_path, max_concurrent=most)
    answers = ask_all(app, [rows(float(temperature)) for temperature in range(30)])
    assert [answer.status_code for answer in answers] == [200] * 30
    assert max(predictor.runs) == max(1, most // 2)
