"""What a server says of its own work: ids, versions, counts."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.app import create_app
from serving.monitoring.counters import Counters, keep_counts_of
from serving.settings import Settings
from serving.worker import load_champions
from tests.serving.asking import app_of, ask
from tests.serving.bundles import SALES_ROW, publish_patients, publish_sales

BODY = {"rows": [SALES_ROW, SALES_ROW]}
Sample = tuple[str, frozenset[tuple[str, str]]]


def metrics(app: object) -> dict[Sample, float]:
    answer = ask(app, "GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labels(**own: str) -> frozenset[tuple[str, str]]:
    return frozenset(own.items())


def test_every_answer_of_a_model_names_its_version_and_the_request(tmp_path: Path):
    publish_sales(tmp_path, version=7)
    app = app_of(tmp_path)
    for body, status in ((BODY, 200), ({}, 422)):
        answer = ask(app, "POST", "/predict", json=body, headers={"X-Request-ID": "mine"})
        assert (answer.status_code, answer.headers["X-Model-Version"]) == (status, "7")
        assert answer.headers["X-Request-ID"] == "mine"
    assert "X-Model-Version" not in ask(app, "GET", "/live").headers


@pytest.mark.parametrize("chosen", ["", "a b", "a\tb", "x" * 129, "é", 'a"b', "<script>"])
def test_an_id_that_could_do_harm_in_a_log_is_replaced(tmp_path: Path, chosen: str):
    publish_sales(tmp_path)
    answer = ask(app_of(tmp_path), "GET", "/live", headers={"X-Request-ID": chosen.encode()})
    assert len(answer.headers["X-Request-ID"]) == 32
    assert answer.headers["X-Request-ID"] != chosen


@pytest.mark.parametrize("path", ["/predict", "/v2/models/ice cream/infer", "/invocations"])
def test_who_hangs_up_within_the_body_is_counted_as_such(tmp_path: Path, path: str):
    publish_sales(tmp_path)
    app = app_of(tmp_path)
    coming = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return coming.pop(0)

    async def send(_: Any) -> None:
        """Nobody reads it."""

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(app(scope, receive, send))
    counted = [dict(own)["status"] for name, own in metrics(app) if name == "serving_requests_total"]
    assert "499" in counted
    assert "400" not in counted


def test_requests_are_counted_by_model_protocol_and_status(tmp_path: Path):
    publish_sales(tmp_path)
    publish_patients(tmp_path)
    app = app_of(tmp_path)
    for _ in range(3):
        ask(app, "POST", "/models/ice%20cream/predict", json=BODY)
    ask(app, "POST", "/models/ice%20cream/predict", json={})
    ask(app, "GET", "/nothing")
    found = metrics(app)
    answered = labels(model="ice cream", protocol="native", status="200")
    assert found["serving_requests_total", answered] == 3
    assert found["serving_request_seconds_count", answered] == 3
    assert found["serving_request_seconds_bucket", answered | {("le", "30.0")}] == 3
    assert found["serving_request_seconds_sum", answered] > 0
    assert found["serving_requests_total", labels(model="ice cream", protocol="native", status="422")] == 1
    assert found["serving_requests_total", labels(model="", protocol="native", status="404")] == 1
    assert found["serving_rows_total", labels(model="ice cream", version="1")] == 6
    assert found["serving_model_info", labels(model="patients", version="1")] == 1
    assert found["serving_requests_running", frozenset()] == 1, "the one that asks"


def test_a_defect_is_counted_too(tmp_path: Path):
    publish_sales(tmp_path)
    own = load_champions(Settings(bundles=tmp_path))["ice cream"]
    app = create_app({"ice cream": replace(own, predictor=SimpleNamespace(contract=own.contract))}, Settings())
    assert ask(app, "POST", "/predict", json=BODY).status_code == 500
    assert metrics(app)["serving_requests_total", labels(model="ice cream", protocol="native", status="500")] == 1


def test_names_that_nobody_serves_make_no_new_counts(tmp_path: Path):
    publish_sales(tmp_path)
    app = app_of(tmp_path)
    for number in range(50):
        ask(app, "POST", f"/models/{number}/predict", json=BODY)
        ask(app, "GET", f"/{number}")
    assert len([name for name, _ in metrics(app) if name == "serving_requests_total"]) == 1


def test_counts_of_several_processes_are_added_and_survive_their_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for process_id, n_rows in ((11, 3), (12, 4)):
        monkeypatch.setattr("os.getpid", lambda own=process_id: own)
        counters = Counters(tmp_path)
        counters.add("rows", ("a", "1"), (n_rows,))
        counters.n_running = 1
        counters.share()
    assert counters.of_all_processes() == ({("rows", ("a", "1")): [7.0]}, 2)
    keep_counts_of(tmp_path, 11)
    keep_counts_of(tmp_path, 99)  # ended before it had counted anything
    assert counters.of_all_processes() == ({("rows", ("a", "1")): [7.0]}, 1)
    keep_counts_of(tmp_path, 12)
    monkeypatch.setattr("os.getpid", lambda: 13)
    assert Counters(tmp_path).of_all_processes() == ({("rows", ("a", "1")): [7.0]}, 0)
