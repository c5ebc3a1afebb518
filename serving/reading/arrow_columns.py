"""Columns of an Arrow table to the arrays that a model takes, by its contract; whole columns at once.

The rules are those of a request: a column that had no missing values in training must have none, and a label that
training did not see counts as unseen. What a type stands for is what training makes of it.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn
from serving.reading.labels import as_training_reads
from serving.reading.rows import SECONDS_A_DAY, days_since_1970

MICROSECONDS_A_SECOND = 1e6
MOMENTS = (pa.timestamp("us"), pa.timestamp("us", "UTC"))  # none of a column has an offset, or all have one
FIRST_DAY = days_since_1970("0001-01-01")  # of ISO 8601 as Python reads it; Arrow has a year 0


class WrongCellError(ValueError):
    """A value that does not fit its column.

    Attributes:
        row: of the value, from 0.
        what: is wrong, after "the value".
    """

    def __init__(self, column: str, row: int, what: str, *, advice: str = "Mend it or leave the row out.") -> None:
        super().__init__(f"Column {column!r}, row {row + 1}: the value {what}. {advice}")
        self.row = row
        self.what = what


def read_columns(contract: Contract, batch: pa.RecordBatch, *, first_row: int) -> dict[str, np.ndarray]:
    """The model's raw columns, [N] each: float64 with NaN for missing, or strings with "" for missing.

    Args:
        contract: of the model.
        batch: has all of its columns.
        first_row: of the batch in the file, from 0; for messages.

    Raises:
        WrongCellError: a value does not fit its column.
    """
    return {
        column.name: read_column(column, batch.column(column.name), first_row=first_row) for column in contract.columns
    }


def read_column(column: Column, values: pa.Array, *, first_row: int = 0) -> np.ndarray:
    """As `read_columns`, for one.

    Raises:
        WrongCellError: a value does not fit.
    """
    values = _decoded(values)
    if isinstance(column, CategoricalColumn):
        labels = _labels(column, values, first_row=first_row)
        if labels.null_count:  # for a few rows, each of Arrow's functions costs as much as reading the column
            labels = pc.fill_null(labels, "")
        if not column.nullable:
            _refuse_missing(column, text_lengths(labels) == 0, first_row=first_row)
        return np.asarray(labels.to_numpy(zero_copy_only=False), dtype=object)
    if isinstance(column, DateColumn):
        numbers = _days(column, values, first_row=first_row)
    elif isinstance(column, BooleanColumn):
        numbers = _truths(column, values, first_row=first_row)
    else:
        numbers = _floats(_numbers(column, values, first_row=first_row))
    missing = np.isnan(numbers)
    _refuse_missing(column, missing, first_row=first_row)
    infinite = np.isinf(numbers)
    if infinite.any():
        raise _wrong(column, int(infinite.argmax()) + first_row, "is infinite")
    return numbers


def text_lengths(texts: pa.Array) -> np.ndarray:
    """Bytes of each text, [N]; of a missing one anything. Arrow's own functions take ten times as long for a few texts.

    Args:
        texts: strings or large strings.
    """
    ends = _text_ends(texts)
    lengths: np.ndarray = np.subtract(ends[1:], ends[:-1])
    return lengths


def text_bytes(texts: pa.Array) -> int:
    """Bytes of all texts together, those of missing ones included; arguments as of `text_lengths`."""
    ends = _text_ends(texts)
    return int(ends[-1]) - int(ends[0])


def _text_ends(texts: pa.Array) -> np.ndarray:
    """Where each text ends in the common buffer, and before them where the first one begins, [N + 1]."""
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    if not len(texts):  # their offsets may be left out
        return np.zeros(1, dtype=width)
    stop = texts.offset + len(texts)
    return np.frombuffer(texts.buffers()[1], dtype=width, count=stop + 1)[texts.offset :]


def is_text(given: pa.DataType) -> bool:
    """Whether values are text."""
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))


def try_cast(values: pa.Array, wanted: pa.DataType) -> pa.Array | None:
    """The values as this type; None where one cannot be."""
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def reread_labels(column: CategoricalColumn, texts: pa.Array) -> pa.Array:
    """Labels that may be written otherwise than training wrote them, each distinct one looked at once."""
    coded = texts.dictionary_encode()
    return pa.array(as_training_reads(column, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)


def _decoded(values: pa.Array) -> pa.Array:
    """Without the encodings that Arrow's casts know too little of."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values


def _labels(column: CategoricalColumn, values: pa.Array, *, first_row: int) -> pa.Array:
    if is_text(values.type):
        return _cast(column, values, pa.string(), first_row=first_row)
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = pc.strftime(values, format="%Y-%m-%d %H:%M:%S%Ez")  # as training writes them; Arrow has no colon
    return reread_labels(column, _cast(column, values, pa.string(), first_row=first_row))


def _days(column: Column, values: pa.Array, *, first_row: int) -> np.ndarray:
    if is_text(values.type):
        return _days_of_texts(column, values, first_row=first_row)
    if pa.types.is_integer(values.type) and values.null_count < len(values):  # Arrow would count microseconds
        is_known = values.is_valid().to_numpy(zero_copy_only=False)
        raise _wrong(column, int(is_known.argmax()) + first_row, "is a number, and no date")
    if pa.types.is_timestamp(values.type):
        if values.type.tz is not None:
            values = values.cast(pa.timestamp(values.type.unit, "UTC")).cast(pa.timestamp(values.type.unit))
        if values.type.unit == "ns":
            values = pc.floor_temporal(values, unit="microsecond")
    moments = _cast(column, values, pa.timestamp("us"), first_row=first_row)
    microseconds = pc.cast(moments.cast(pa.int64()), pa.float64(), safe=False)
    return _floats(microseconds) / MICROSECONDS_A_SECOND / SECONDS_A_DAY  # in two steps, as `days_since_1970`


def _days_of_texts(column: Column, texts: pa.Array, *, first_row: int) -> np.ndarray:
    for wanted in MOMENTS:
        moments = try_cast(texts, wanted)
        if moments is not None:
            days = _days(column, moments, first_row=first_row)
            if not (days < FIRST_DAY).any():
                return days
    days = np.full(len(texts), np.nan)  # a value at a time, in any form of ISO 8601
    for row, text in enumerate(texts.to_pylist()):
        try:
            days[row] = np.nan if text is None else days_since_1970(text)
        except (ValueError, OverflowError):
            raise _wrong(column, row + first_row, "is no ISO 8601 date or date-time, such as 2024-05-31") from None
    return days


def _truths(column: Column, values: pa.Array, *, first_row: int) -> np.ndarray:
    if is_text(values.type):
        values = _cast(column, values, pa.bool_(), first_row=first_row)
    truths = _floats(_numbers(column, values, first_row=first_row))
    is_wrong = ~np.isnan(truths) & (truths != 0) & (truths != 1)
    if is_wrong.any():
        raise _wrong(column, int(is_wrong.argmax()) + first_row, "is no boolean value")
    return truths


def _numbers(column: Column, values: pa.Array, *, first_row: int) -> pa.Array:
    if is_text(values.type):
        numbers = try_cast(values, pa.float64())
        if numbers is not None:
            return numbers
        values = pc.utf8_trim_whitespace(values)  # training reads "1, 2" too
    return _cast(column, values, pa.float64(), first_row=first_row)


def _floats(values: pa.Array) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)  # null becomes NaN


def _cast(column: Column, values: pa.Array, wanted: pa.DataType, *, first_row: int) -> pa.Array:
    if values.type == wanted:
        return values
    try:
        # Whole numbers too large for float64 lose digits, as they do on every other way into the model.
        return values.cast(wanted, safe=wanted != pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _wrong(column, _first_wrong(values, wanted) + first_row, f"is no {column.kind} value") from None


def _first_wrong(values: pa.Array, wanted: pa.DataType) -> int:
    """The first value that cannot be cast, by halving: one value at a time would take minutes."""
    start, stop = 0, len(values)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            values.slice(start, middle - start).cast(wanted)
            start = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            stop = middle
    return start


def _refuse_missing(column: Column, is_missing: np.ndarray, *, first_row: int) -> None:
    if not column.nullable and is_missing.any():
        raise _wrong(
            column, int(is_missing.argmax()) + first_row, "is missing, and the column had no missing values in training"
        )


def _wrong(column: Column, row: int, what: str) -> WrongCellError:
    return WrongCellError(column.name, row, what)
