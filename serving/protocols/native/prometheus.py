"""Counts in the text formats of Prometheus and of OpenMetrics, for `GET /metrics`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from serving.bundle import Reference
from serving.http.instrumentation import ANSWERS, BUCKETS, REQUESTS, ROWS
from serving.monitoring.counters import Counters, Counts
from serving.monitoring.drift import STATES, psi, references
from serving.versions.answer_monitor import (
    ANSWER_BINS,
    COLUMN_BINS,
    COLUMN_STATES,
    DIFFERENCES,
    SHADOW,
    merge_windows,
)
from serving.versions.champions import SWAPS
from serving.versions.served_model import ServedModel

PROMETHEUS, OPEN_METRICS = "text/plain", "application/openmetrics-text"
MODEL_LABELS = ("model", "version")
REQUEST_LABELS = ("model", "protocol", "status")


def show_metrics(counters: Counters, models: Mapping[str, ServedModel], *, is_open: bool) -> tuple[bytes, str]:
    """Everything that is counted, of all processes together, and its media type.

    Args:
        counters: of this process.
        models: that answer.
        is_open: in the format of OpenMetrics, and else in Prometheus' own.
    """
    counts, n_running = counters.of_all_processes()
    registry = CollectorRegistry(auto_describe=False)
    metrics = (*_of_requests(counts, n_running), *_of_models(counts, models), *_of_columns(counts, models))
    registry.register(_Collected([*metrics, *_of_shadow(counts)]))
    encode, media = choose_encoder(OPEN_METRICS if is_open else PROMETHEUS)
    return encode(registry), media


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
        buckets = _cumulated(BUCKETS, count[:-1])
        requests.add_metric(labels, buckets[-1][1])
        seconds.add_metric(labels, buckets, sum_value=count[-1])
    yield requests
    yield seconds
    yield GaugeMetricFamily("serving_requests_running", "Requests under way.", value=n_running)


def _of_models(counts: Counts, models: Mapping[str, ServedModel]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "serving_model_info", "1 for every version that answers in the process asked.", labels=MODEL_LABELS
    )
    for model in models.values():
        info.add_metric((model.name, model.version), 1)
    yield info
    yield _counter(counts, ROWS, "serving_rows", "Rows that were predicted.", labels=MODEL_LABELS)
    yield _counter(counts, ANSWERS, "serving_answers", "Answers of a version.", labels=(*MODEL_LABELS, "status"))
    yield _of_versions(counts)


def _of_versions(counts: Counts) -> Metric:
    n_versions: Counter[tuple[str, str]] = Counter()
    for (model, _, outcome), count in _named(counts, SWAPS):
        n_versions[model, outcome] += int(count[0])
    metric = CounterMetricFamily(
        "serving_versions", "New versions, by what became of them.", labels=("model", "outcome")
    )
    for labels, n in n_versions.items():
        metric.add_metric(labels, n)
    return metric


def _of_columns(counts: Counts, models: Mapping[str, ServedModel]) -> Iterator[Metric]:
    """Of the versions that answer now: those before them would add up to more and more."""
    labels = (*MODEL_LABELS, "column")
    states = CounterMetricFamily(
        "serving_column_values", "Values that were looked at, by state.", labels=(*labels, "state")
    )
    shares = GaugeMetricFamily("serving_column_share", "Share of a column's values.", labels=(*labels, "state"))
    for (model, version, column), count in _named(counts, COLUMN_STATES):
        if model in models and models[model].version == version:
            for state, n in zip(STATES, count, strict=True):
                states.add_metric((model, version, column, state), n)
                shares.add_metric((model, version, column, state), n / sum(count))
    yield states
    yield shares
    column_psi = GaugeMetricFamily("serving_column_psi", "How far a column is from training's.", labels=labels)
    answer_psi = GaugeMetricFamily("serving_answers_psi", "How far answers are from training's.", labels=MODEL_LABELS)
    column_bins, answer_bins = (merge_windows(dict(_named(counts, name))) for name in (COLUMN_BINS, ANSWER_BINS))
    for served in models.values():
        for name, reference in references(served.contract.columns).items():
            _add_psi(column_psi, (served.name, served.version, name), reference, column_bins)
        if served.contract.target.reference is not None:
            _add_psi(answer_psi, (served.name, served.version), served.contract.target.reference, answer_bins)
    yield column_psi
    yield answer_psi


def _add_psi(
    metric: GaugeMetricFamily,
    labels: tuple[str, ...],
    reference: Reference,
    bins: Mapping[tuple[str, ...], list[float]],
) -> None:
    index = psi(reference, bins[labels]) if labels in bins else None
    if index is not None:
        metric.add_metric(labels, index)


def _of_shadow(counts: Counts) -> Iterator[Metric]:
    labels = (*MODEL_LABELS, "shadow")
    difference = HistogramMetricFamily(
        "serving_shadow_difference", "Largest difference of a row, of probability or target's scale.", labels=labels
    )
    others = CounterMetricFamily("serving_shadow_other_labels", "Rows with another likeliest class.", labels=labels)
    failed = CounterMetricFamily("serving_shadow_rows_not_asked", "Rows that do not fit the shadow.", labels=labels)
    for values, (*buckets, n_others, n_failed) in _named(counts, SHADOW):
        difference.add_metric(values, _cumulated(DIFFERENCES, buckets), sum_value=None)
        others.add_metric(values, n_others)
        failed.add_metric(values, n_failed)
    yield difference
    yield others
    yield failed


def _cumulated(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each holds those below it, too."""
    return list(zip([*map(str, bounds), "+Inf"], accumulate(counts), strict=True))


def _counter(counts: Counts, name: str, shown: str, text: str, *, labels: Sequence[str]) -> Metric:
    metric = CounterMetricFamily(shown, text, labels=labels)
    for values, count in _named(counts, name):
        metric.add_metric(values, count[0])
    return metric


def _named(counts: Counts, name: str) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    return ((labels, count) for (counted, labels), count in counts.items() if counted == name)
