"""Traces reach a real collector: a span a request, one a run of a model within it, in the trace of the caller."""

import json
from pathlib import Path

import pytest

from serving.event_loop_budget import SMALL_BODY_BYTES
from serving.keys import add_key
from serving.monitoring.traces import EXPORTER, NO_SPAN, is_traced, model_run, telemetry
from serving.request_context import RequestContext
from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.collector import Span, collector
from tests.serving.load import eventually
from tests.serving.processes import running

BODY = {"rows": [SALES_ROW, SALES_ROW]}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PATH = "/models/ice%20cream/predict"
NATIVE = "POST /models/{name}/predict"
LARGE = SMALL_BODY_BYTES  # bytes more, so that it is answered in a thread


def test_without_an_endpoint_nothing_is_traced():
    assert not is_traced({})
    assert not is_traced({"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    assert model_run(None, n_rows=1) is NO_SPAN
    assert model_run(RequestContext("id", "native", 0.0), n_rows=1) is NO_SPAN


def test_an_exporter_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr("serving.monitoring.traces.EXPORTER", "nowhere.to.be.found")
    assert not is_traced({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert "pip install -e '.[traces]'" in caplog.text


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_and_its_run_of_the_model_are_in_the_callers_trace(tmp_path: Path, workers: str):
    pytest.importorskip(EXPORTER, reason="the exporter of the extra `traces` is not installed")
    publish_sales(tmp_path)
    with collector() as (address, spans):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_SERVICE_NAME": "sales", "SERVING_WORKERS": workers}
        with running(tmp_path, "--bundles", str(tmp_path), **settings) as server:
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "mine"}
            for padding in (0, LARGE):
                large = {**headers, "Content-Type": "application/json"}
                content = json.dumps(BODY).encode() + b" " * padding
                assert server.post(PATH, content=content, headers=large).status_code == 200
            assert server.post(PATH, json=BODY).status_code == 200
            assert server.post(PATH, json={}, headers=headers).status_code == 422
            assert server.stop() == 0, "what was not sent yet is sent then"
        check(spans)


def check(spans: list[Span]) -> None:
    requests = [span for span in spans if span.name == NATIVE]
    runs = [span for span in spans if span.name == "model run"]
    assert (len(requests), len(runs)) == (4, 3), "a refused request runs no model"
    ours = [span for span in requests if span.trace == TRACE]
    assert {span.parent for span in ours} == {CALLER}
    assert {span.attributes["request.id"] for span in ours} == {"mine"}, "the refused one's, too"
    assert sorted(span.attributes["http.response.status_code"] for span in ours) == [200, 200, 422]
    (other,) = [span for span in requests if span.trace != TRACE]
    assert other.parent == ""
    by_id = {span.id: span for span in requests}
    assert {span.service for span in spans} == {"sales"}
    for run in runs:
        request = by_id[run.parent]
        assert run.attributes["request.id"] == request.attributes["request.id"]
        assert run.trace == request.trace
        assert request.nanoseconds[0] <= run.nanoseconds[0] <= run.nanoseconds[1] <= request.nanoseconds[1]
        assert run.attributes.pop("request.id") == "mine" or request is other
        assert run.attributes == {"model.name": "ice cream", "model.version": "1", "model.rows": 2}


REFUSALS = [("/predict", 401), ("/nothing", 404), ("/models", 200), ("/ping", 200)]


def test_every_span_of_a_request_has_the_id_of_its_answer(tmp_path: Path):
    pytest.importorskip(EXPORTER, reason="the exporter of the extra `traces` is not installed")
    publish_sales(tmp_path)
    key = add_key(tmp_path / "keys.json", name="one", role="reader")
    header = {"Authorization": f"Bearer {key}"}
    with collector() as (address, spans):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "SERVING_KEYS_FILE": str(tmp_path / "keys.json")}
        with running(tmp_path, "--bundles", str(tmp_path), **settings) as server:
            answers = [server.get(path, headers={} if status == 401 else header) for path, status in REFUSALS]
            assert server.stop() == 0
    assert [answer.status_code for answer in answers] == [status for _, status in REFUSALS]
    assert {span.service for span in spans} == {"sweepstack"}
    seen = {span.attributes["request.id"]: span for span in spans}
    for (path, status), answer in zip(REFUSALS, answers, strict=True):
        found = seen[answer.headers["X-Request-ID"]].attributes
        assert (found["url.path"], found["http.response.status_code"]) == (path, status)


@pytest.mark.parametrize(
    ("named", "service"),
    [
        ({}, "sweepstack"),
        ({"OTEL_SERVICE_NAME": ""}, "sweepstack"),
        ({"OTEL_SERVICE_NAME": "sales"}, "sales"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=shop"}, None),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=a"}, "sweepstack"),
    ],
)
def test_a_service_that_nobody_named_has_our_name(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], service: str | None
):
    environment = dict(named)
    monkeypatch.setattr("os.environ", environment)
    telemetry(traced=True)
    assert environment.get("OTEL_SERVICE_NAME") == service


def test_a_service_may_be_named_among_other_attributes(tmp_path: Path):
    pytest.importorskip(EXPORTER, reason="the exporter of the extra `traces` is not installed")
    publish_sales(tmp_path)
    with collector() as (address, spans):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=shop"}
        with running(tmp_path, "--bundles", str(tmp_path), **settings) as server:
            assert server.stop() == 0
    assert {span.service for span in spans} == {"shop"}


def test_a_collector_that_is_away_costs_no_answer_and_no_clean_end(tmp_path: Path):
    pytest.importorskip(EXPORTER, reason="the exporter of the extra `traces` is not installed")
    publish_sales(tmp_path)
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(tmp_path, "--bundles", str(tmp_path), **settings) as server:
        for _ in range(50):
            assert server.post("/predict", json=BODY).status_code == 200
        eventually(lambda: "Connection refused" in (tmp_path / "stderr.log").read_text())
        assert server.stop() == 0
