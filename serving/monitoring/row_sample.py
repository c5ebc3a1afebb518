"""Rows that a model answered lately, kept for a moment, so that nobody waits while they are looked at."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MOST_ROWS = 10_000  # between two looks: what they cost does not grow with the load


@dataclass(frozen=True)
class AnsweredRows:
    """Rows and their predictions.

    Attributes:
        columns: name -> [N]; float64 with NaN for missing, or strings with "" for missing.
        predictions: [N, P].
    """

    columns: Mapping[str, np.ndarray]
    predictions: np.ndarray

    def first(self, n_rows: int) -> "AnsweredRows":
        """The first rows alone."""
        return AnsweredRows({name: values[:n_rows] for name, values in self.columns.items()}, self.predictions[:n_rows])


class RowSample:
    """The first rows since the last look, at most `MOST_ROWS`. Requests in several threads may add to it.

    They are copied into arrays that have room for all: to join the arrays of a thousand requests would keep the
    requests of that moment waiting for 20 ms.
    """

    def __init__(self) -> None:
        self._buffer: AnsweredRows | None = None
        self._n_rows = 0
        self._lock = threading.Lock()

    def add(self, columns: Mapping[str, np.ndarray], predictions: np.ndarray) -> None:
        """Keep rows while there is room."""
        with self._lock:
            start, n_rows = self._n_rows, min(len(predictions), MOST_ROWS - self._n_rows)
            if not n_rows:
                return
            if self._buffer is None:
                self._buffer = _make_buffer(columns, predictions)
            self._n_rows += n_rows
            rows = slice(start, start + n_rows)
            for name, values in columns.items():
                self._buffer.columns[name][rows] = values[:n_rows]
            self._buffer.predictions[rows] = predictions[:n_rows]

    def take(self) -> AnsweredRows | None:
        """The rows since the last look, and forget them; None when there are none."""
        with self._lock:
            buffer, n_rows = self._buffer, self._n_rows
            self._buffer, self._n_rows = None, 0
        return None if buffer is None else buffer.first(n_rows)


class NoSample(RowSample):
    """Keeps nothing."""

    def add(self, columns: Mapping[str, np.ndarray], predictions: np.ndarray) -> None:
        """Forget the rows."""


def _make_buffer(columns: Mapping[str, np.ndarray], predictions: np.ndarray) -> AnsweredRows:
    """For as many rows as are kept, of these columns; labels are kept whole, whatever their length."""
    kinds = {name: np.float64 if values.dtype.kind == "f" else object for name, values in columns.items()}
    return AnsweredRows(
        {name: np.empty(MOST_ROWS, dtype=kind) for name, kind in kinds.items()},
        np.empty((MOST_ROWS, predictions.shape[1]), dtype=predictions.dtype),
    )
