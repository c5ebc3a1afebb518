"""Which rows of a table a bundle is tried on: real ones, spread over a part, and probes made of one of them."""

import numpy as np
import polars as pl
from jaxtyping import Bool, Int

from pipelines.data.prepare import PreparedTable
from pipelines.data.table import as_numbers


def spread(rows: Int[np.ndarray, " rows"], *, at_most: int) -> Int[np.ndarray, " kept"]:
    """So many of the rows, evenly from the first to the last; all of them when there are no more."""
    places = np.linspace(0, len(rows) - 1, num=min(at_most, len(rows)))
    return rows[places.astype(np.int64)]


def is_missing(features: pl.DataFrame) -> Bool[np.ndarray, "rows columns"]:
    """Which raw values are missing; of labels it is ""."""
    return np.column_stack([_is_missing(column) for column in features.iter_columns()])


def _is_missing(column: pl.Series) -> np.ndarray:
    return (column.cast(pl.String) == "" if _holds_labels(column) else as_numbers(column).is_nan()).to_numpy()


def _holds_labels(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Enum)


def tried_rows(prepared: PreparedTable, *, at_most: int) -> pl.DataFrame:
    """Raw rows of the validation and test parts, and what they may not hold.

    Probes are copies of the first row: for every column that training saw missing, one without its value; for every
    categorical column, one with a label that training did not see.
    """
    features = prepared.table.features
    held_out = np.concatenate([prepared.validation.rows, prepared.test.rows])
    real = features[spread(held_out, at_most=at_most)].cast({pl.Enum: pl.String})
    probes = []
    for column in features.iter_columns():
        if _is_missing(column.gather(prepared.train.rows)).any():
            probes.append(_changed(real[:1], column.name, "" if _holds_labels(column) else None))
        if _holds_labels(column):
            unseen = max(column.unique().to_list(), key=len) + "?"  # longer than every label
            probes.append(_changed(real[:1], column.name, unseen))
    return pl.concat([real, *probes])


def _changed(row: pl.DataFrame, column: str, value: str | None) -> pl.DataFrame:
    return row.with_columns(pl.Series(column, [value], dtype=row.schema[column]))
