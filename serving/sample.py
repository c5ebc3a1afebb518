"""Rows that a model answered lately, kept for a moment, so that nobody waits while they are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MOST_ROWS = 10_000  # between two looks: what they cost does not grow with the load


@dataclass(frozen=True)
class Answered:
    """Rows and their predictions.

    Attributes:
        columns: name -> [N]; float64 with NaN for missing, or strings with "" for missing.
        predictions: [N, P].
    """

    columns: Mapping[str, np.ndarray]
    predictions: np.ndarray


class Sample:
    """The first rows since the last look, at most `MOST_ROWS`. Requests in several threads may add to it."""

    def __init__(self) -> None:
        self._parts: list[Answered] = []
        self._n_rows = 0

    def add(self, columns: Mapping[str, np.ndarray], predictions: np.ndarray) -> None:
        """Keep rows while there is room; nothing is copied."""
        if self._n_rows < MOST_ROWS:
            self._n_rows += len(predictions)
            self._parts.append(Answered(columns, predictions))

    def take(self) -> Answered | None:
        """The rows since the last look, and forget them; None when there are none."""
        parts, self._parts, self._n_rows = self._parts, [], 0
        if not parts:
            return None
        columns = {
            name: np.concatenate([part.columns[name] for part in parts])[:MOST_ROWS] for name in parts[0].columns
        }
        return Answered(columns, np.concatenate([part.predictions for part in parts])[:MOST_ROWS])
