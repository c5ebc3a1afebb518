"""Columns of a CSV file, which are text, to the arrays that a model takes: read as training reads them.

What a text stands for is said by its column alone, whatever stands in the rows before it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.batch.mistakes import SAVE_AS_UTF8
from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, NumericColumn
from serving.reading.arrow_columns import WrongCellError, read_column, reread_labels
from serving.reading.missing_words import MISSING_WORDS

WORDS = pa.array(MISSING_WORDS)


def read_texts(contract: Contract, batch: pa.RecordBatch, *, first_row: int) -> dict[str, np.ndarray]:
    """As `arrow_columns.read_columns`, for rows of a CSV file, whose columns are text.

    Raises:
        WrongCellError: a value does not fit its column, or is not encoded as UTF-8.
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
        return read_column(column, reread_labels(column, texts), first_row=first_row)
    known = pc.if_else(pc.is_in(texts, value_set=WORDS), None, texts)
    read = read_column(column, known, first_row=first_row)
    is_nan = np.isnan(read)
    if is_nan.any():  # a spelling of it that is no word for missing
        is_wrong = is_nan & known.is_valid().to_numpy(zero_copy_only=False)
        if is_wrong.any():
            raise WrongCellError(column.name, int(is_wrong.argmax()) + first_row, f"is no {column.kind} value")
    return read


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
