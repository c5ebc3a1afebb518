"""What each column is: numeric, boolean, categorical or a date; and its raw values in the form `table` describes.

Not here: scaling and codes (`encode`), which may look at training rows alone; a kind is a property of the column.
"""

from collections.abc import Callable, Sequence
from difflib import get_close_matches

import numpy as np
import polars as pl

from pipelines.data.table import Column, ColumnKind, as_whole, without_nan
from pipelines.errors import UserError

MAX_CATEGORIES = 1000
FIRST_ROWS = 10_000
MILLISECONDS_A_DAY = 86_400_000
LARGEST_NUMBER = 1e100  # the squares of larger ones leave float64
ISO_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
OFFSET = r"^.{10}[^Z+-]+[Z+-]"
NO_OFFSET = r"^(.{10}[^Z+-]*)Z?$"
BOOLEAN_WORDS = ("true", "false")


def check_names(field: str, names: Sequence[str], *, columns: Sequence[str], origin: str) -> None:
    """Raise a UserError that lists every name that is not a column, each with the nearest that is."""
    wrong = [name for name in names if name not in columns]
    if not wrong:
        return
    hints = []
    for name in wrong:
        near = get_close_matches(name, columns, n=3, cutoff=0.5)
        hints.append(f"{name!r}" + (f" (did you mean {', '.join(map(repr, near))}?)" if near else ""))
    shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")  # noqa: PLR2004  what fits a line or two
    raise UserError(f"{field} names no column of {origin}: {'; '.join(hints)}. Columns: {shown}.")


def holds_single_things(raw: pl.Series) -> bool:
    """Whether its values could be numbers, labels or dates: lists, bytes and spans of time are none of these."""
    return not (raw.dtype.is_nested() or raw.dtype in (pl.Duration, pl.Binary))


def kind_of(raw: pl.Series) -> ColumnKind | None:
    """What a column is by its type, or by its words; None for what is not understood."""
    dtype = raw.dtype
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return _kind_of_words(raw.cast(pl.String))
    if dtype.is_numeric():
        return "numeric"
    if dtype == pl.Boolean:
        return "boolean"
    return "date" if dtype in (pl.Date, pl.Datetime) else None


def read_column(raw: pl.Series, *, origin: str, forced: ColumnKind | None = None) -> tuple[Column, pl.Series]:
    """Recognise a column and bring its values into the raw form that `table.Column` describes.

    Args:
        raw: as read.
        origin: the file or the built-in table, for messages.
        forced: the user's word, which goes before what the values look like.

    Raises:
        UserError: nothing but missing values, infinite values, too many categories, values that are no single things,
            or not what is forced.
    """
    name = raw.name
    if raw.null_count() == len(raw):
        raise _all_missing(name, origin)
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    kind = forced or kind_of(raw)
    if kind is None or not holds_single_things(raw):
        raise UserError(
            f"{origin}, column {name!r}: {raw.dtype} values are not understood. Leave it out with data.drop=[{name}]."
        )
    values = {"numeric": _numbers, "boolean": _booleans, "categorical": _labels, "date": _days}[kind](raw, origin)
    return Column(name, kind), values


def _all_missing(name: str, origin: str) -> UserError:
    return UserError(f"{origin}, column {name!r}: every value is missing. Leave it out with data.drop=[{name}].")


def _kind_of_words(raw: pl.Series) -> ColumnKind:
    """What all of these strings are. The first are asked before the rest: most columns fail there."""
    first = raw.head(1000).drop_nulls()
    tests: dict[ColumnKind, Callable[[pl.Series], pl.Series]] = {
        "date": lambda words: words.str.contains(ISO_DATE),
        "boolean": lambda words: words.str.to_lowercase().is_in(BOOLEAN_WORDS),
        "numeric": lambda words: words.str.strip_chars().cast(pl.Float64, strict=False).is_not_null(),
    }
    for kind, is_one in tests.items():
        if is_one(first).all() and is_one(raw.unique().drop_nulls()).all():
            return kind
    return "categorical"


def _numbers(raw: pl.Series, origin: str) -> pl.Series:
    values = without_nan(_as_number_type(raw, origin))
    if values.null_count() == len(values):
        raise _all_missing(raw.name, origin)
    extremes = [abs(extreme) for extreme in (values.min(), values.max()) if isinstance(extreme, float)]
    if any(extreme > LARGEST_NUMBER for extreme in extremes):
        is_too_large = values.abs() > LARGEST_NUMBER
        row = is_too_large.arg_max() or 0
        what = "infinite values" if np.isinf(values[row]) else f"values beyond {LARGEST_NUMBER:g}"
        raise UserError(
            f"{origin}, column {raw.name!r}: {is_too_large.sum()} {what}, first in row {row + 1}. "
            "Replace them by a number or leave them empty."
        )
    return values


def _as_number_type(raw: pl.Series, origin: str) -> pl.Series:
    if raw.dtype.is_float() or raw.dtype.is_integer():
        return raw
    words = raw.str.strip_chars() if raw.dtype == pl.String else raw
    values = words.cast(pl.Float64, strict=False)
    wrong = values.is_null() & raw.is_not_null()
    if wrong.any():
        row = wrong.arg_max() or 0
        raise UserError(
            f"{origin}, column {raw.name!r}: {wrong.sum()} values are not numbers, first {raw[row]!r} in row "
            f"{row + 1}. Mend them, or use data.categorical=[{raw.name}]."
        )
    return values


def _booleans(raw: pl.Series, origin: str) -> pl.Series:  # noqa: ARG001  one signature for every kind
    return raw.str.to_lowercase() == "true" if raw.dtype == pl.String else raw


def _days(raw: pl.Series, origin: str) -> pl.Series:
    """Days since 1970-01-01 UTC; a time without an offset is UTC."""
    moments = _parse_moments(raw) if raw.dtype == pl.String else raw
    if moments.null_count() > raw.null_count():
        row = (moments.is_null() & raw.is_not_null()).arg_max() or 0
        raise UserError(f"{origin}, column {raw.name!r}, row {row + 1}: {raw[row]!r} is no date of the calendar.")
    if moments.dtype == pl.Date:
        return moments.to_physical()
    return moments.dt.epoch("ms").cast(pl.Float64) / MILLISECONDS_A_DAY


def _parse_moments(raw: pl.Series) -> pl.Series:
    """Dates, or where one has a time of day, date-times in UTC; null for what the calendar does not have."""
    if (raw.str.len_bytes() == len("2000-01-01")).all():
        return raw.str.to_date("%Y-%m-%d", strict=False)
    spaced = raw.str.replace("T", " ")
    if spaced.str.contains(OFFSET).any():  # polars reads all by one pattern: with an offset or without
        spaced = spaced.str.replace(NO_OFFSET, "${1}+00:00").str.replace(r"^(.{10})\+", "$1 00:00+")
    return spaced.str.to_datetime(strict=False, time_unit="ms", time_zone="UTC")


def _labels(raw: pl.Series, origin: str) -> pl.Series:
    if raw.dtype.is_float():
        raw = raw.fill_nan(None)
        if raw.null_count() == len(raw):
            raise _all_missing(raw.name, origin)
        raw = as_whole(raw)  # 501.0 and 501 are one label, whatever the file's missing values made of the type
    labels = raw.cast(pl.String)
    # The first rows mostly hold every label, and to look for more costs as much as to code all rows.
    coded = _coded(labels, among=labels.head(FIRST_ROWS))
    if coded is None or coded.null_count() > labels.null_count():
        coded = _coded(labels, among=labels)
    if coded is None:
        raise UserError(
            f"{origin}, column {raw.name!r}: {labels.fill_null('').n_unique():,} different labels, more than "
            f"{MAX_CATEGORIES:,}. Leave it out with data.drop=[{raw.name}]"
            + (f", or use data.numeric=[{raw.name}]." if raw.dtype.is_numeric() else ".")
        )
    return coded.fill_null("") if coded.null_count() else coded


def _coded(labels: pl.Series, *, among: pl.Series) -> pl.Series | None:
    """As an Enum of the labels found among some of the rows, null for others; None where they are too many."""
    distinct = among.unique()
    if labels.null_count():
        distinct = distinct.extend_constant("", 1)
    distinct = distinct.drop_nulls().unique().sort()
    return None if len(distinct) > MAX_CATEGORIES else labels.cast(pl.Enum(distinct), strict=False)
