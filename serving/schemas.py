"""Request models made from a contract: what the API documents is what it checks.

Not here: the model of an answer (`json_answers`), how a body is read and what its mistakes are called (`reading`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, AllowInfNan, BaseModel, Field, Strict, StringConstraints, WithJsonSchema

from serving.answers.json_answers import answer_model, make_model
from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn
from serving.reading.rows import days_since_1970

SHOWN_CATEGORIES = 20  # what fits a line
DATE_FORMATS = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}


@dataclass(frozen=True)
class Schemas:
    """What a model takes and what it answers.

    Attributes:
        row: one row; every column must be there, under its own name.
        request: `{"rows": [row, ...]}`.
        columns: the other form of it, `{"columns": {name: [value, ...]}}`, with as many values in every column.
        answer: to it; for regression `{"value"}` a row, for classes `{"label", "probabilities"}`, and more
            (`json_answers`).
        example: of a request, with the columns' examples.
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
    example: dict[str, Any] = {"rows": [{column.name: column.example for column in contract.columns}]}
    rows: Any = Annotated[list[row], Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]  # made above
    request = make_model(f"{contract.name} request", {"rows": (rows, Field(examples=[example["rows"]]))})
    columns = make_model(f"{contract.name} columns request", {"columns": (_columns_model(contract, max_rows), ...)})
    return Schemas(row, request, columns, answer_model(contract), example)


def _row_model(contract: Contract) -> type[BaseModel]:
    return make_model(f"{contract.name} row", _fields(contract, _type))


def _columns_model(contract: Contract, max_rows: int) -> type[BaseModel]:
    def values(column: Column) -> Any:
        return Annotated[list[_type(column)], Field(min_length=1, max_length=max_rows)]  # type: ignore[misc]  # made here

    return make_model(f"{contract.name} columns", _fields(contract, values))


def _fields(contract: Contract, make: Callable[[Column], Any]) -> dict[str, Any]:
    """A field a column. Names of the table need not be names in Python: they are aliases."""
    return {
        f"column_{index}": (
            make(column),
            Field(alias=column.name, title=column.name, description=_description(column)),
        )
        for index, column in enumerate(contract.columns)
    }


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
    missing = _missing(column)
    if isinstance(column, CategoricalColumn):
        shown = ", ".join(column.categories[:SHOWN_CATEGORIES])
        more = ", ..." if len(column.categories) > SHOWN_CATEGORIES else ""
        return f"one of: {shown}{more}; any other label counts as unseen.{missing}"
    if isinstance(column, BooleanColumn):
        return f"true or false.{missing}"
    return f"{column.minimum} to {column.maximum} in training.{missing}"


def _missing(column: Column) -> str:
    if not column.nullable:
        return ""
    if column.rules is None or column.rules.missing != "filled":
        return " null when missing."
    return f" null when missing; it counts as {column.rules.fill}."
