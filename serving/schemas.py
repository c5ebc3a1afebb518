"""Request and answer models made from a contract: what the API documents is what it checks.

Not here: how a body is read and what its mistakes are called (`reading`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
    create_model,
)

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn, Json
from serving.predictor import days_since_1970

SHOWN_CATEGORIES = 20  # what fits a line
DATE_FORMATS = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}


@dataclass(frozen=True)
class Schemas:
    """What a model takes and what it answers.

    Attributes:
        row: one row; every column must be there, under its own name.
        request: `{"rows": [row, ...]}`.
        columns: the other form of it, `{"columns": {name: [value, ...]}}`, with as many values in every column.
        answer: to it; for regression `{"value"}` a row, for classes `{"label", "probabilities"}`.
        example: of a request, with real values.
    """

    row: type[BaseModel]
    request: type[BaseModel]
    columns: type[BaseModel]
    answer: type[BaseModel]
    example: dict[str, Any]


def make_schemas(contract: Contract, *, max_rows: int) -> Schemas:
    """Make the models of a contract.

    Args:
        contract: names the columns and the classes.
        max_rows: of one request.
    """
    row = _row_model(contract)
    example: dict[str, Any] = {"rows": [contract.golden[0].row if contract.golden else _example_row(contract)]}
    rows: Any = Annotated[list[row], Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]  # made above
    request = _model(f"{contract.name} request", {"rows": (rows, Field(examples=[example["rows"]]))})
    predictions: Any = list[_prediction_model(contract)]  # type: ignore[misc]  # made by the function
    fields = {"model": (str, ...), "version": (str, ...), "predictions": (predictions, ...)}
    columns = _model(f"{contract.name} columns request", {"columns": (_columns_model(contract, max_rows), ...)})
    return Schemas(row, request, columns, _model(f"{contract.name} answer", fields), example)


def to_answer(contract: Contract, *, name: str, version: str, predictions: np.ndarray) -> dict[str, Any]:
    """Word predictions, [N, P], as the answer model says. Float32 goes to JSON without loss."""
    classes = contract.target.classes
    values = predictions.tolist()
    if classes:
        best = predictions.argmax(axis=1).tolist()
        worded: list[dict[str, Any]] = [
            {"label": classes[place], "probabilities": dict(zip(classes, row, strict=True))}
            for place, row in zip(best, values, strict=True)
        ]
    else:
        worded = [{"value": row[0]} for row in values]
    return {"model": name, "version": version, "predictions": worded}


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    """A model that refuses fields it does not know."""
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    return made


def _row_model(contract: Contract) -> type[BaseModel]:
    return _model(f"{contract.name} row", _fields(contract, _type))


def _columns_model(contract: Contract, max_rows: int) -> type[BaseModel]:
    def values(column: Column) -> Any:
        return Annotated[list[_type(column)], Field(min_length=1, max_length=max_rows)]  # type: ignore[misc]  # made here

    return _model(f"{contract.name} columns", _fields(contract, values))


def _fields(contract: Contract, make: Callable[[Column], Any]) -> dict[str, Any]:
    """A field a column. Names of the table need not be names in Python: they are aliases, here and below."""
    return {
        f"column_{place}": (
            make(column),
            Field(alias=column.name, title=column.name, description=_description(column)),
        )
        for place, column in enumerate(contract.columns)
    }


def _prediction_model(contract: Contract) -> type[BaseModel]:
    target = contract.target
    if not target.classes:
        return _model(f"{contract.name} prediction", {"value": (float, Field(description=target.name))})
    classes = {f"class_{place}": (float, Field(alias=label)) for place, label in enumerate(target.classes)}
    probabilities = _model(f"{contract.name} probabilities", classes)
    label = (Literal[target.classes], Field(description=f"{target.name}: the class with the highest probability"))
    return _model(f"{contract.name} prediction", {"label": label, "probabilities": (probabilities, ...)})


def _example_row(contract: Contract) -> dict[str, Json]:
    return {column.name: column.example for column in contract.columns}


def _type(column: Column) -> Any:
    base: Any
    if isinstance(column, CategoricalColumn):
        # "" stands for missing. Tables hold codes as numbers, and clients send them so.
        label = Annotated[str, Strict(), StringConstraints(min_length=0 if column.nullable else 1)]
        base = label | Annotated[int, Strict()]
    elif isinstance(column, DateColumn):
        base = Annotated[str, Strict(), AfterValidator(_check_date), WithJsonSchema(DATE_FORMATS)]
    elif isinstance(column, BooleanColumn):
        base = Annotated[bool, Strict()]
    else:
        base = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False)]
    return base | None if column.nullable else base


def _check_date(text: str) -> str:
    try:
        days_since_1970(text)
    except ValueError:
        raise ValueError("Input should be an ISO 8601 date or date-time, such as 2024-05-31") from None
    return text


def _description(column: Column) -> str:
    missing = " null when missing." if column.nullable else ""
    if isinstance(column, CategoricalColumn):
        shown = ", ".join(column.categories[:SHOWN_CATEGORIES])
        more = ", ..." if len(column.categories) > SHOWN_CATEGORIES else ""
        return f"one of: {shown}{more}; any other label counts as unseen.{missing}"
    if isinstance(column, BooleanColumn):
        return f"true or false.{missing}"
    return f"{column.minimum} to {column.maximum} in training.{missing}"
