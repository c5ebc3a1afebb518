"""Rows whose values are known to fit, to the raw columns that a model takes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from serving.bundle import CategoricalColumn, Column, Contract, DateColumn, Json
from serving.reading.labels import labels_of

SECONDS_A_DAY = 86_400.0
Row = Mapping[str, Json]


def columns_from_rows(contract: Contract, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Validated rows as the model's raw columns, [N] each."""
    return {column.name: _column(column, [row[column.name] for row in rows]) for column in contract.columns}


def days_since_1970(text: str) -> float:
    """An ISO 8601 date or date-time as days since 1970-01-01 UTC, with a fraction for the time of day.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() / SECONDS_A_DAY


def _column(column: Column, values: Sequence[Json]) -> np.ndarray:
    if isinstance(column, CategoricalColumn):
        return np.array(labels_of(column, values), dtype=object)
    if isinstance(column, DateColumn):
        return np.array([np.nan if value is None else days_since_1970(str(value)) for value in values])
    return np.array(values, dtype=np.float64)  # None becomes NaN
