"""Which tensors stand for the columns of a contract: what the metadata says of them, and what a column accepts.

Missing are NaN in a tensor of floats, an empty string in one of BYTES, and null in JSON, each only where the column had
missing values in training.
"""

from typing import Any

import numpy as np

from serving.bundle import BooleanColumn, CategoricalColumn, Column, DateColumn
from serving.predictor import days_since_1970
from serving.protocols.open_inference.tensors import BOOL, BYTES, DTYPES, INTEGERS, Tensor, WrongTensorError

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
        _check_datatype(column, tensor, (BYTES, *sorted(INTEGERS)))
        texts = tensor.texts()
        if not column.nullable and "" in texts:
            raise WrongTensorError(NOT_MISSING, texts.index(""))
        return np.array(texts, dtype=object)
    if isinstance(column, DateColumn):
        _check_datatype(column, tensor, (BYTES,))
        values = np.array([_days(text, place) for place, text in enumerate(tensor.texts())])
    else:
        _check_datatype(column, tensor, tuple(DTYPES))
        values = tensor.numbers()
        _check_numbers(column, values)
    missing = np.isnan(values)
    if not column.nullable and missing.any():
        raise WrongTensorError(NOT_MISSING, int(missing.argmax()))
    return values


def _check_datatype(column: Column, tensor: Tensor, accepted: tuple[str, ...]) -> None:
    if tensor.datatype not in accepted:
        raise WrongTensorError(f"{tensor.datatype} does not fit a {column.kind} column: send {' or '.join(accepted)}")


def _check_numbers(column: Column, values: np.ndarray) -> None:
    wrong = np.isinf(values)
    if wrong.any():
        raise WrongTensorError("Input should be a finite number", int(wrong.argmax()))
    if isinstance(column, BooleanColumn):
        wrong = (values != 0) & (values != 1) & ~np.isnan(values)
        if wrong.any():
            raise WrongTensorError("Input should be true or false, 1 or 0", int(wrong.argmax()))


def _days(text: str, place: int) -> float:
    if not text:
        return float("nan")
    try:
        return days_since_1970(text)
    except ValueError:
        raise WrongTensorError("Input should be an ISO 8601 date or date-time, such as 2024-05-31", place) from None
