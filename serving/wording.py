"""Predictions and what else is said of them: the model of an answer that the API documents, and its words in JSON.

Not here: tables (`media_tables`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, create_model

from serving.bundle import Contract
from serving.explaining import Explanation
from serving.rules import MISSING, UNSEEN, Used


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


def word_rows(contract: Contract, answers: Answers) -> list[dict[str, Any]]:
    """Word what is said of each row, as `answer_model` says. Float32 goes to JSON without loss."""
    worded = _word_predictions(contract, answers.predictions)
    for row, used in answers.rules.items():
        worded[row]["rules"] = used
    _add_certainty(contract, answers, worded)
    _add_explanation(answers, worded)
    return worded


def around(worded: Sequence[dict[str, Any]], answers: Answers, *, name: str, version: str) -> dict[str, Any]:
    """A whole answer in JSON: worded rows, some or all of these, and what is said of all of them."""
    if answers.coverage is None:
        return {"model": name, "version": version, "predictions": worded}
    return {"model": name, "version": version, "coverage": answers.coverage, "predictions": worded}


def _word_predictions(contract: Contract, predictions: np.ndarray) -> list[dict[str, Any]]:
    classes = contract.target.classes
    values = predictions.tolist()
    if not classes:
        return [{"value": row[0]} for row in values]
    best = predictions.argmax(axis=1).tolist()
    return [
        {"label": classes[place], "probabilities": dict(zip(classes, row, strict=True))}
        for place, row in zip(best, values, strict=True)
    ]


def _add_certainty(contract: Contract, answers: Answers, worded: list[dict[str, Any]]) -> None:
    if answers.intervals is not None:
        for own, (lower, upper) in zip(worded, answers.intervals.tolist(), strict=True):
            own["interval"] = {"lower": lower, "upper": upper}
    if answers.sets is not None:
        for own, is_in in zip(worded, answers.sets.tolist(), strict=True):
            own["label_set"] = [label for label, holds in zip(contract.target.classes, is_in, strict=True) if holds]


def _add_explanation(answers: Answers, worded: list[dict[str, Any]]) -> None:
    if answers.explanation is None:
        return
    names = list(answers.explanation.contributions)
    added = np.transpose(list(answers.explanation.contributions.values())).tolist()
    for own, base, row in zip(worded, answers.explanation.base.tolist(), added, strict=True):
        own["explanation"] = {"base": base, "contributions": dict(zip(names, row, strict=True))}


def _prediction_model(contract: Contract) -> type[BaseModel]:
    target = contract.target
    fields: dict[str, Any]
    if target.classes:
        classes = {f"class_{place}": (float, Field(alias=label)) for place, label in enumerate(target.classes)}
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
