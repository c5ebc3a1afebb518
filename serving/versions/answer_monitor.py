"""Looks, off the requests' path, at rows that were answered lately: their drift, and what a shadow would have answered.

Drift is of the rows of the window that fills and of the one before it: older rows are forgotten, so that a shift shows,
and so that it passes. Python runs one thread at a time, so this one rests after each column: to look at a second's rows
at a stretch kept requests waiting for 2 ms.
"""

import logging
import time
from collections.abc import Mapping
from weakref import WeakSet

import numpy as np

from serving.monitoring.counters import LATELY, Counters
from serving.monitoring.drift import count_answers, count_bins, count_states
from serving.monitoring.row_sample import AnsweredRows
from serving.versions.served_model import ServedModel
from serving.versions.shadow import Shadow

COLUMN_STATES = "column_states"  # labels: model, version, column; one number a state
COLUMN_BINS = f"column_bins{LATELY}"  # labels: model, version, column, window
ANSWER_BINS = f"answer_bins{LATELY}"  # labels: model, version, window
SHADOW = "shadow"  # labels: model, version, shadow's version; one number a bucket, then how many rows
# got another label, then how many the shadow could not be asked
WINDOW_ROWS = 10_000  # of one process
PAUSE_SECONDS = 0.001  # in which requests go on
DIFFERENCES = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # of a probability or of the target's scale

logger = logging.getLogger("serving.watch")


class AnswerMonitor:
    """Counts what is answered, for the metrics.

    Args:
        champions: whose answers are looked at.
        shadow: that answers the same; None: nobody does.
        counters: gets the counts.
    """

    def __init__(self, champions: Mapping[str, ServedModel], shadow: Shadow | None, counters: Counters) -> None:
        self._champions = champions
        self._shadow = shadow
        self._counters = counters
        self._n_rows: dict[tuple[str, str], int] = {}
        self._failed: WeakSet[ServedModel] = WeakSet()  # said once

    def refresh(self) -> None:
        """Look for a new shadow."""
        if self._shadow is not None:
            self._shadow.refresh()

    def look(self) -> None:
        """Look at what was answered since the last look."""
        for model in self._champions.values():
            answered = model.sample.take()
            if answered is not None:
                self._count(model, answered)
                shadow = self._shadow.get(model.name) if self._shadow is not None else None
                if shadow is not None:
                    self._compare(model, shadow, answered)

    def _count(self, model: ServedModel, answered: AnsweredRows) -> None:
        labels = (model.name, model.version)
        window = self._window_of(labels, len(answered.predictions))
        for column in model.contract.columns:
            values = answered.columns[column.name]
            self._counters.add(COLUMN_STATES, (*labels, column.name), count_states(column, values))
            if column.reference is not None:
                counts = count_bins(column, column.reference, values)
                self._counters.add(COLUMN_BINS, (*labels, column.name, window), counts)
            time.sleep(PAUSE_SECONDS)
        target = model.contract.target
        if target.reference is not None:
            counts = count_answers(target, target.reference, answered.predictions)
            self._counters.add(ANSWER_BINS, (*labels, window), counts)

    def _window_of(self, labels: tuple[str, str], n_rows: int) -> str:
        """The window that these rows are counted in: one of two, the older of which is emptied when it is needed."""
        before = self._n_rows.get(labels, 0)
        self._n_rows[labels] = before + n_rows
        window, next_window = before // WINDOW_ROWS, self._n_rows[labels] // WINDOW_ROWS
        if next_window != window:
            self._counters.forget((COLUMN_BINS, ANSWER_BINS), first=labels, last=str(next_window % 2))
        return str(next_window % 2)

    def _compare(self, model: ServedModel, shadow: ServedModel, answered: AnsweredRows) -> None:
        labels = (model.name, model.version, shadow.version)
        predictions = self._ask(shadow, answered) if _takes_the_same(model, shadow) else None
        if predictions is None:
            nothing = [0.0] * (len(DIFFERENCES) + 2)
            self._counters.add(SHADOW, labels, [*nothing, float(len(answered.predictions))])
            return
        scale = (model.contract.target.scale or 1.0) if not model.contract.target.classes else 1.0
        difference = np.abs(predictions - answered.predictions).max(axis=1) / scale
        buckets = np.bincount(np.searchsorted(DIFFERENCES, difference), minlength=len(DIFFERENCES) + 1)
        others = np.count_nonzero(predictions.argmax(axis=1) != answered.predictions.argmax(axis=1))
        self._counters.add(SHADOW, labels, [*buckets.astype(float).tolist(), float(others), 0.0])

    def _ask(self, shadow: ServedModel, answered: AnsweredRows) -> np.ndarray | None:
        """None when it fails, which must not keep the other models from being looked at."""
        try:
            return shadow.predictor.predict(answered.columns)
        except Exception:  # ONNX Runtime raises a class a cause, without a common base of its own
            if shadow not in self._failed:
                logger.exception("A shadow fails", extra={"fields": {"model": shadow.name, "version": shadow.version}})
            self._failed.add(shadow)
            return None


def _takes_the_same(model: ServedModel, shadow: ServedModel) -> bool:
    """Whether a shadow can answer with what its champion was asked, in the same terms."""
    given = {column.name: column.kind for column in model.contract.columns}
    wanted = {column.name: column.kind for column in shadow.contract.columns}
    return wanted.items() <= given.items() and shadow.contract.target.classes == model.contract.target.classes


def merge_windows(counts: Mapping[tuple[str, ...], list[float]]) -> dict[tuple[str, ...], list[float]]:
    """Counts of both windows together."""
    total: dict[tuple[str, ...], list[float]] = {}
    for (*labels, _), count in counts.items():
        known = total.get(tuple(labels))
        total[tuple(labels)] = count if known is None else [a + b for a, b in zip(known, count, strict=True)]
    return total
