"""Which tensors stand for the columns of a contract: what the metadata says of them, and what a column accepts.

Missing are NaN in a tensor of floats, an empty string in one of BYTES, and null in JSON, each only where the column had
missing values in training.
"""

from typing import Any

import numpy as np

from serving.bundle import BooleanColumn, CategoricalColumn, Column, DateColumn, Json
from serving.protocols.open_inference.tensors import BOOL, BYTES, DTYPES, INTEGERS, Tensor, WrongTensorError
from serving.reading.labels import labels_of
from serving.reading.rows import days_since_1970

LABELS, NUMBERS = (BYTES, *sorted(INTEGERS)), tuple(DTYPES)
NOT_MISSING = "A missing value is not accepted: the column had none in training"


def describe_column(column: Column) -> dict[str, Any]:
    """The metadata of a column's tensor; a column accepts more than the datatype that stands there."""
    if isinstance(column, CategoricalColumn | DateColumn):
        datatype = BYTES
    else:
        datatype = BOOL if isinstance(column, BooleanColumn) else "FP64"
    parameters = {"kind": column.kind, "nullable": column.nullable}
    return {"name": column.name, "datatype": datatype, "shape": [-1, 1], "parameters": parameters}


def to_column(column: Column, tensor: Tensor) -> np.ndarray:
    """A tensor as the raw column that the predictor takes, [N]: float64 with NaN, or strings with "" for missing.

    Raises:
        WrongTensorError: it has not this column's datatype, or a value that the column does not accept.
    """
    if isinstance(column, CategoricalColumn):
        _check_datatype(column, tensor, LABELS)
        labels = labels_of(column, tensor.cells())
        if not column.nullable and "" in labels:
            raise WrongTensorError(NOT_MISSING, labels.index(""))
        return np.array(labels, dtype=object)
    if isinstance(column, DateColumn):
        _check_datatype(column, tensor, (BYTES,))
        values = np.array([_days(text, index) for index, text in enumerate(tensor.cells())])
    else:
        _check_datatype(column, tensor, NUMBERS)
        values = tensor.numbers()
        if isinstance(column, BooleanColumn):
            _refuse((values != 0) & (values != 1) & np.isfinite(values), "Input should be true or false, 1 or 0")
    if not np.isfinite(values).all():
        _refuse(np.isinf(values), "Input should be a finite number")
        if not column.nullable:
            _refuse(np.isnan(values), NOT_MISSING)
    return values


def _check_datatype(column: Column, tensor: Tensor, accepted: tuple[str, ...]) -> None:
    if tensor.datatype not in accepted:
        raise WrongTensorError(f"{tensor.datatype} does not fit a {column.kind} column: send {' or '.join(accepted)}")


def _refuse(wrong: np.ndarray, message: str) -> None:
    if wrong.any():
        raise WrongTensorError(message, int(wrong.argmax()))


def _days(text: Json, index: int) -> float:
    if not text:
        return float("nan")
    try:
        return days_since_1970(str(text))
    except ValueError:
        raise WrongTensorError("Input should be an ISO 8601 date or date-time, such as 2024-05-31", index) from None
