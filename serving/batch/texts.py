"""Columns of a CSV file, which are text, to the arrays that a model takes: read as training reads them.

What a text stands for is said by its column alone, whatever stands in the rows before it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.batch.columns import SAVE_AS_UTF8, WrongCellError, read_column, read_dates
from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn, NumericColumn
from serving.missing_words import MISSING_WORDS
from serving.reading_csv import as_training_reads

WORDS = pa.array(MISSING_WORDS)
MOMENTS = (pa.timestamp("us"), pa.timestamp("us", "UTC"))  # none of a column has an offset, or all have one


def read_texts(contract: Contract, batch: pa.RecordBatch, *, first_row: int) -> dict[str, np.ndarray]:
    """As `columns.read_columns`, for rows of a CSV file, whose columns are text.

    Raises:
        ScoringError: a value does not fit its column, or is not encoded as UTF-8.
    """
    return {column.name: _read(column, batch.column(column.name), first_row=first_row) for column in contract.columns}


def kept_texts(
    names: Sequence[str], batch: pa.RecordBatch, contract: Contract, read: Mapping[str, np.ndarray], *, first_row: int
) -> dict[str, pa.Array]:
    """Columns that go along: the model's numbers and truths as it takes them, anything else as the text it is.

    An empty cell of text is a missing value.

    Args:
        names: of these columns.
        batch: rows of a CSV file.
        contract: of the model.
        read: its columns, as `read_texts` reads them.
        first_row: of the batch in the file, from 0; for messages.

    Raises:
        WrongCellError: a value is not encoded as UTF-8.
    """
    columns = {column.name: column for column in contract.columns}
    kept = {}
    for name in names:
        column = columns.get(name)
        if isinstance(column, NumericColumn | BooleanColumn):
            values = pa.array(read[name], from_pandas=True)  # NaN becomes null
            kept[name] = values.cast(pa.bool_()) if isinstance(column, BooleanColumn) else values
        else:
            texts = _decoded(name, batch.column(name), first_row=first_row)
            kept[name] = pc.if_else(pc.equal(texts, ""), None, texts)
    return kept


def _read(column: Column, values: pa.Array, *, first_row: int) -> np.ndarray:
    texts = _decoded(column.name, values, first_row=first_row)
    if isinstance(column, CategoricalColumn):
        return read_column(column, _labels(column, texts), first_row=first_row)
    known = pc.if_else(pc.is_in(texts, value_set=WORDS), None, texts)
    if isinstance(column, DateColumn):
        return _read_moments(column, known, first_row=first_row)
    if isinstance(column, NumericColumn):
        known = _numbers(column, known, first_row=first_row)
    return read_column(column, known, first_row=first_row)


def _read_moments(column: Column, texts: pa.Array, *, first_row: int) -> np.ndarray:
    for wanted in MOMENTS:
        moments = _cast(texts, wanted)
        if moments is not None:
            return read_column(column, moments, first_row=first_row)
    return read_dates(column, texts, first_row=first_row)


def _decoded(name: str, values: pa.Array, *, first_row: int) -> pa.Array:
    """The texts, which pyarrow has not checked: it would not say where it stumbled."""
    raw = values.view(pa.binary())
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        for row, content in enumerate(raw.to_pylist()):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                what = f"is not UTF-8 (0x{content[error.start]:02x})"
                raise WrongCellError(name, row + first_row, what, advice=SAVE_AS_UTF8) from None
        raise


def _labels(column: Column, texts: pa.Array) -> pa.Array:
    coded = texts.dictionary_encode()
    return pa.array(as_training_reads(column, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)


def _numbers(column: Column, texts: pa.Array, *, first_row: int) -> pa.Array:
    """Numbers, or texts of which one is none."""
    numbers = _cast(texts, pa.float64())
    if numbers is None:
        texts = pc.utf8_trim_whitespace(texts)  # training reads "1, 2" too
        numbers = _cast(texts, pa.float64())
    if numbers is None:
        return texts
    is_nan = pc.fill_null(pc.is_nan(numbers), fill_value=False)  # a spelling of it that is no word for missing
    if pc.any(is_nan).as_py():
        raise WrongCellError(column.name, pc.index(is_nan, value=True).as_py() + first_row, "is no numeric value")
    return numbers


def _cast(texts: pa.Array, wanted: pa.DataType) -> pa.Array | None:
    try:
        return texts.cast(wanted)
    except pa.ArrowInvalid:
        return None
