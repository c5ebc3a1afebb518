"""What a reader of a model must know of each column: range, labels, whether it may be missing, a real value.

Like the encoder it looks at the training part alone. Not here: the contract's own types (`pipelines.export`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipelines.data.table import Column, ColumnKind, Table, as_numbers, is_whole

Raw = str | int | float | bool | None


@dataclass(frozen=True)
class ColumnProfile:
    """A column as its reader sees it.

    Attributes:
        name: of the column.
        kind: of the column.
        nullable: the training part had missing values.
        minimum: smallest value; ISO 8601 for dates; None for booleans and labels.
        maximum: largest, likewise.
        integer: every value is a whole number.
        categories: labels, ascending, without the missing one.
        example: a real value as a client would send it: of the first row that has one.
    """

    name: str
    kind: ColumnKind
    nullable: bool
    minimum: float | str | None
    maximum: float | str | None
    integer: bool
    categories: tuple[str, ...]
    example: Raw


def profile_columns(table: Table, train_rows: np.ndarray) -> tuple[ColumnProfile, ...]:
    """Describe every feature column."""
    return tuple(
        _profile(column, table.features.get_column(column.name).gather(train_rows)) for column in table.columns
    )


def _profile(column: Column, values: pl.Series) -> ColumnProfile:
    if column.kind == "categorical":
        words = values.cast(pl.String)
        known = words.filter(words != "")
        labels = tuple(known.unique().sort().to_list())
        return ColumnProfile(
            name=column.name,
            kind=column.kind,
            nullable=len(known) < len(values),
            minimum=None,
            maximum=None,
            integer=False,
            categories=labels,
            example=known[0] if len(known) else None,
        )
    known = as_numbers(values).drop_nans()
    has_range = column.kind != "boolean" and len(known) > 0
    integer = is_whole(known)
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        nullable=len(known) < len(values),
        minimum=_bound(column, known.min()) if has_range else None,
        maximum=_bound(column, known.max()) if has_range else None,
        integer=integer,
        categories=(),
        example=raw_value(column.kind, known[0], integer=integer) if len(known) else None,
    )


def _bound(column: Column, value: object) -> float | str:
    number = float(value) if isinstance(value, float) else 0.0
    return iso_date(number) if column.kind == "date" else number


def raw_value(kind: ColumnKind, value: Raw, *, integer: bool) -> Raw:
    """One raw value of a table as a client would send it in JSON."""
    if isinstance(value, str):
        return value or None
    if value is None or np.isnan(value):
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "date":
        return iso_date(float(value))
    return int(value) if integer else float(value)


def iso_date(days: float) -> str:
    """Days since 1970-01-01 as ISO 8601: a date, or a date-time in UTC when there is a time of day."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    if days % 1 == 0:
        return moment.date().isoformat()
    return moment.isoformat(timespec="milliseconds")
