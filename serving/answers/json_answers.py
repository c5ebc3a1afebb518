"""Predictions and what else is said of them: the model of an answer that the API documents, and its words in JSON.

Not here: tables (`tables`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, create_model

from serving.answers.rules import MISSING, UNSEEN, Used
from serving.answers.shapley import Explanation
from serving.bundle import Contract


@dataclass(frozen=True)
class Answers:
    """Predictions of some rows, and what else is said of them.

    Attributes:
        predictions: [N, P].
        rules: used by these rows.
        coverage: of the intervals or sets; None: there are none.
        intervals: lower and upper end, [N, 2], of a regression.
        sets: which labels are in the set, [N, P], of classes.
        explanation: None: nobody asked for one.
    """

    predictions: np.ndarray
    rules: Used = field(default_factory=dict)
    coverage: float | None = None
    intervals: np.ndarray | None = None
    sets: np.ndarray | None = None
    explanation: Explanation | None = None


def answer_model(contract: Contract) -> type[BaseModel]:
    """The model of an answer in JSON."""
    predictions: Any = list[_prediction_model(contract)]  # type: ignore[misc]  # made by the function
    fields = {
        "model": (str, ...),
        "version": (str, ...),
        "coverage": _optional(float, "of the intervals or sets of labels"),
        "predictions": (predictions, ...),
    }
    return make_model(f"{contract.name} answer", fields)


class RowAnswer(msgspec.Struct, gc=False):
    """What is said of one row: in structs, which are made and written several times as fast as dicts.

    A regression has a value and its interval, classes have a label, its probabilities and a set of labels.
    """

    label: str | msgspec.UnsetType = msgspec.UNSET
    probabilities: Any = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET
    rules: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    interval: Mapping[str, float] | msgspec.UnsetType = msgspec.UNSET
    label_set: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    explanation: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET


class JsonWriter:
    """Writes what is said of rows, as `answer_model` says.

    Args:
        contract: names the classes.
        name: of the model.
        version: of it.
    """

    def __init__(self, contract: Contract, *, name: str, version: str) -> None:
        self._classes = contract.target.classes
        self._probabilities = _maker(self._classes)
        self._head = {"model": name, "version": version}

    def answer_rows(self, answers: Answers) -> Sequence[RowAnswer]:
        """What is said of each row. Float32 goes to JSON without loss."""
        rows = self._rows_of(answers.predictions)
        for index, used in answers.rules.items():
            rows[index].rules = used
        self._add_certainty(answers, rows)
        _add_explanation(answers, rows)
        return rows

    def write(self, rows: Sequence[RowAnswer], answers: Answers) -> bytes:
        """A whole answer in JSON: what is said of some or all rows, and of all of them together."""
        coverage = {} if answers.coverage is None else {"coverage": answers.coverage}
        return msgspec.json.encode({**self._head, **coverage, "predictions": rows})

    def _rows_of(self, predictions: np.ndarray) -> list[RowAnswer]:
        values = predictions.tolist()
        if not self._classes:
            return [RowAnswer(value=value) for (value,) in values]
        labels = map(self._classes.__getitem__, predictions.argmax(axis=1).tolist())
        return list(map(RowAnswer, labels, starmap(self._probabilities, values)))

    def _add_certainty(self, answers: Answers, rows: Sequence[RowAnswer]) -> None:
        if answers.intervals is not None:
            for row, (lower, upper) in zip(rows, answers.intervals.tolist(), strict=True):
                row.interval = {"lower": lower, "upper": upper}
        if answers.sets is not None:
            for row, is_in in zip(rows, answers.sets.tolist(), strict=True):
                row.label_set = [label for label, holds in zip(self._classes, is_in, strict=True) if holds]


def _maker(names: Sequence[str]) -> Callable[..., Any]:
    """What makes an object of JSON of a value for each name."""
    fields = [(f"value_{index}", float, msgspec.field(name=name)) for index, name in enumerate(names)]
    try:
        return msgspec.defstruct("Probabilities", fields, gc=False)
    except ValueError:  # it writes names as they are, so it takes none with characters that JSON escapes
        return lambda *values: dict(zip(names, values, strict=True))


def _add_explanation(answers: Answers, rows: Sequence[RowAnswer]) -> None:
    if answers.explanation is None:
        return
    names = list(answers.explanation.contributions)
    added = np.transpose(list(answers.explanation.contributions.values())).tolist()
    for row, base, contributions in zip(rows, answers.explanation.base.tolist(), added, strict=True):
        row.explanation = {"base": base, "contributions": dict(zip(names, contributions, strict=True))}


def _prediction_model(contract: Contract) -> type[BaseModel]:
    target = contract.target
    fields: dict[str, Any]
    if target.classes:
        classes = {f"class_{index}": (float, Field(alias=label)) for index, label in enumerate(target.classes)}
        probabilities = make_model(f"{contract.name} probabilities", classes)
        labels: Any = Literal[target.classes]
        fields = {
            "label": (labels, Field(description=f"{target.name}: the class with the highest probability")),
            "probabilities": (probabilities, ...),
            "label_set": _optional(list[labels], "holds the true label as often as the coverage says"),
        }
    else:
        ends = make_model(f"{contract.name} interval", {"lower": (float, ...), "upper": (float, ...)})
        fields = {
            "value": (float, Field(description=target.name)),
            "interval": _optional(ends, "holds the true value as often as the coverage says"),
        }
    used = "column -> why a rule of the contract took the place of its value; left out where none did"
    fields["rules"] = _optional(dict[str, Literal[MISSING, UNSEEN]], used)  # type: ignore[valid-type]  # constants
    fields["explanation"] = _optional(_explanation_model(contract), "when asked for")
    return make_model(f"{contract.name} prediction", fields)


def _explanation_model(contract: Contract) -> type[BaseModel]:
    explained = "the label's probability" if contract.target.classes else "the value"
    base = Field(description="the mean of it over known rows of the training part")
    added = Field(description=f"column -> what it adds; base and contributions add up to {explained}")
    return make_model(
        f"{contract.name} explanation", {"base": (float, base), "contributions": (dict[str, float], added)}
    )


def _optional(kind: Any, description: str) -> tuple[Any, Any]:
    """A field that may be left out, and is never null."""
    drop: Callable[[dict[str, Any]], None] = lambda schema: schema.pop("default", None)  # noqa: E731  a line
    return Annotated[kind, Field(description=description, json_schema_extra=drop)], None


def make_model(name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    """A model that refuses fields it does not know."""
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    return made
