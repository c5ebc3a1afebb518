"""What three workers count is one server's, in the formats of Prometheus and of OpenMetrics, whoever is asked."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from tests.serving.bundles import SALES_ROW, publish_patients, publish_sales
from tests.serving.load import SECONDS, eventually
from tests.serving.processes import Running, running
from tests.serving.test_workers import children

N_WORKERS, N_CONNECTIONS, N_EACH = 3, 8, 60
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
FORMATS: dict[str, Callable[[str], Iterable[Metric]]] = {"text/plain": read_prometheus, OPEN_METRICS: read_open_metrics}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: Running, accept: str) -> Samples:
    """On a connection of its own, so that any of the workers may answer."""
    answer = server.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(accept.partition(";")[0])
    found: Samples = {}
    for family in FORMATS[accept](answer.text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, "a sample is there once"
            found[key] = sample.value
    return found


def ask(address: str) -> Counter[int]:
    """How many answers had which status."""
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=address, timeout=SECONDS, verify=False) as client:
        for number in range(N_EACH):
            body = {} if number % 10 == 0 else {"rows": [SALES_ROW] * 3}
            statuses[client.post("/models/ice cream/predict", json=body).status_code] += 1
    return statuses


def of(found: Samples, name: str, **labels: str) -> float:
    """The sum of what has these labels, and maybe others."""
    return sum(value for (found_name, has), value in found.items() if found_name == name and labels.items() <= set(has))


def check(found: Samples) -> None:
    """All that was asked is counted, in its bucket, under its status."""
    n_bad = N_CONNECTIONS * N_EACH // 10
    n_good = N_CONNECTIONS * N_EACH - n_bad
    for status, expected in (("200", n_good), ("422", n_bad)):
        labels = {"model": "ice cream", "protocol": "native", "status": status}
        assert of(found, "serving_requests_total", **labels) == expected
        assert of(found, "serving_request_seconds_count", **labels) == expected
        buckets = {
            float(dict(has)["le"]): value
            for (name, has), value in found.items()
            if name == "serving_request_seconds_bucket" and labels.items() <= set(has)
        }
        values = [buckets[edge] for edge in sorted(buckets)]
        assert values == sorted(values)
        assert buckets[float("inf")] == expected
        assert of(found, "serving_answers_total", model="ice cream", version="1", status=status) == expected
    assert of(found, "serving_rows_total", model="ice cream", version="1") == 3 * n_good


@pytest.mark.slow
def test_every_worker_shows_what_all_have_counted(tmp_path: Path):
    publish_sales(tmp_path)
    publish_patients(tmp_path)
    with (
        running(tmp_path, "--bundles", str(tmp_path), "--workers", str(N_WORKERS)) as server,
        ThreadPoolExecutor(N_CONNECTIONS) as threads,
    ):
        eventually(lambda: len(children(server.process.pid)) == N_WORKERS)
        asking = [threads.submit(ask, server.address) for _ in range(N_CONNECTIONS)]
        seen = [of(scrape(server, accept), "serving_rows_total") for _ in range(10) for accept in FORMATS]
        n_rows = 3 * sum(own.result()[200] for own in asking)
        eventually(lambda: all(of(scrape(server, OPEN_METRICS), "serving_rows_total") == n_rows for _ in range(10)))
        for accept in (*FORMATS, *FORMATS):
            check(scrape(server, accept))
        assert server.stop() == 0
    assert seen == sorted(seen), "a counter never goes back, whoever shows it"
