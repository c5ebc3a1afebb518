"""Request and response models made from a contract: what the API documents is what it checks."""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, create_model

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn, Json
from serving.predictor import days_since_1970

LARGEST = 1e300  # beyond it sums of columns overflow


class Strictly(BaseModel):
    """A model that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class ValuePrediction(BaseModel):
    """A regression's answer, in the target's own unit."""

    value: float


class ClassPrediction(BaseModel):
    """A classification's answer."""

    label: str = Field(description="the class with the highest probability")
    probabilities: dict[str, float] = Field(description="class -> probability; they sum to 1")


class Answer(BaseModel):
    """What every answer says of the model that gave it."""

    model: str
    version: str


class ValueAnswer(Answer):
    """Predictions of a regression, in the order of the rows."""

    predictions: list[ValuePrediction]


class ClassAnswer(Answer):
    """Predictions of a classification, in the order of the rows."""

    predictions: list[ClassPrediction]


def request_model(contract: Contract) -> type[BaseModel]:
    """The body of a prediction request: `{"rows": [{column: value, ...}, ...]}`."""
    fields: dict[str, Any] = {
        f"column_{place}": (_type(column), Field(alias=column.name, description=_description(column)))
        for place, column in enumerate(contract.columns)
    }
    example = {"rows": [dict(own.row) for own in contract.golden[:1]] or [_example_row(contract)]}
    row = create_model(f"{contract.name}_row", __base__=Strictly, **fields)
    rows: Any = Annotated[list[row], Field(min_length=1, examples=[example["rows"]])]  # type: ignore[valid-type]  # made above
    return create_model(f"{contract.name}_request", __base__=Strictly, rows=(rows, ...))


def answer_model(contract: Contract) -> type[Answer]:
    """The body of an answer."""
    return ClassAnswer if contract.target.classes else ValueAnswer


def to_answer(contract: Contract, version: str, predictions: np.ndarray) -> dict[str, Any]:
    """Word predictions, [N, P], as the answer model says."""
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
    return {"model": contract.name, "version": version, "predictions": worded}


def _example_row(contract: Contract) -> dict[str, Json]:
    return {column.name: column.example for column in contract.columns}


def _type(column: Column) -> Any:
    kind = _label if isinstance(column, CategoricalColumn) else _date if isinstance(column, DateColumn) else None
    if kind is not None:
        base: Any = Annotated[str, kind]
    elif isinstance(column, BooleanColumn):
        base = Annotated[bool, Strict()]
    else:
        base = Annotated[float, Strict(), AfterValidator(_finite)]
    return base | None if column.nullable else base


def _checked(check: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(check)


def _to_label(value: Any) -> Any:
    """A whole number is taken for its label: tables hold codes as numbers, JSON clients send them so."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and value == int(value):
        return str(int(value))
    if not isinstance(value, str):
        raise ValueError("Input should be a string, one of the column's labels")  # noqa: TRY004  pydantic collects ValueErrors
    return value


def _to_date(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("Input should be an ISO 8601 date such as 2024-05-31")  # noqa: TRY004  likewise
    try:
        days_since_1970(value)
    except (ValueError, OverflowError):
        raise ValueError("Input should be an ISO 8601 date such as 2024-05-31") from None
    return value


def _finite(value: float) -> float:
    if not abs(value) <= LARGEST:
        raise ValueError("Input should be a finite number")
    return value


_label = _checked(_to_label)
_date = _checked(_to_date)


def _description(column: Column) -> str:
    missing = " null when missing." if column.nullable else ""
    if isinstance(column, CategoricalColumn):
        shown = ", ".join(column.categories[:20])
        more = ", ..." if len(column.categories) > 20 else ""  # noqa: PLR2004  what fits a line
        return f"one of: {shown}{more}; any other label counts as unseen.{missing}"
    if isinstance(column, BooleanColumn):
        return f"true or false.{missing}"
    return f"{column.minimum} to {column.maximum} in training.{missing}"
