"""Counts in Prometheus' text format, for `GET /metrics`."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from serving.models import Served
from serving.observing import BUCKETS, REQUESTS, ROWS
from serving.tally import Counts, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_LABELS = ("model", "protocol", "status")


def show_metrics(tally: Tally, models: Mapping[str, Served]) -> bytes:
    """Everything that is counted, of all processes together."""
    counts, n_running = tally.of_all_processes()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_of_requests(counts, n_running), *_of_models(counts, models)]))
    return generate_latest(registry)


class _Collected:
    """Metrics that are made already, as Prometheus' client wants them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _of_requests(counts: Counts, n_running: int) -> Iterator[Metric]:
    requests = CounterMetricFamily("serving_requests", "Requests that were answered.", labels=REQUEST_LABELS)
    seconds = HistogramMetricFamily(
        "serving_request_seconds", "From a request's first line to its answer's last byte.", labels=REQUEST_LABELS
    )
    for labels, count in _named(counts, REQUESTS):
        buckets, total = [], 0.0
        for bound, n in zip((*map(str, BUCKETS), "+Inf"), count[:-1], strict=True):
            total += n
            buckets.append((bound, total))
        requests.add_metric(labels, total)
        seconds.add_metric(labels, buckets, sum_value=count[-1])
    yield requests
    yield seconds
    yield GaugeMetricFamily("serving_requests_running", "Requests under way.", value=n_running)


def _of_models(counts: Counts, models: Mapping[str, Served]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "serving_model_info", "1 for every version that answers in the process asked.", labels=("model", "version")
    )
    for own in models.values():
        info.add_metric((own.name, own.version), 1)
    yield info
    rows = CounterMetricFamily("serving_rows", "Rows that were predicted.", labels=("model", "version"))
    for labels, count in _named(counts, ROWS):
        rows.add_metric(labels, count[0])
    yield rows


def _named(counts: Counts, name: str) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    return ((labels, count) for (own, labels), count in counts.items() if own == name)
