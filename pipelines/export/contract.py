"""The contract of a bundle: what its reader must know of the columns, the target, the metrics and the members."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pydantic import TypeAdapter

from pipelines.data.prepare import PreparedTable, raw_rows
from pipelines.data.profile import ColumnProfile, iso_date, profile_columns
from pipelines.data.table import Table
from pipelines.export.columns import OPSET
from pipelines.export.references import answers_reference, with_reference
from pipelines.export.rows import is_missing, spread
from pipelines.export.rules import with_rules
from pipelines.export.served import ServedMember, ServedModel
from serving.bundle import Calibration, Column, Contract, Golden, Lineage, Member, Target

MOST_ANSWERS = 10_000  # of the validation part, whose distribution is recorded
GOLDEN_ROWS = 8
GOLDEN_WITH_MISSING = 2  # of these, where the test part has such rows
BACKGROUND_ROWS = 16  # every path of an explanation starts at one of them: more are truer, and take longer


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, beyond its table and its members.

    Attributes:
        sweep: that it was chosen from.
        code_version: of the code that trained it.
        created: when, with its time zone.
    """

    sweep: str
    code_version: str
    created: datetime


def build_contract(
    prepared: PreparedTable,
    *,
    served: ServedModel,
    scale: float,
    members: Sequence[ServedMember],
    metrics: Mapping[str, Mapping[str, float]],
    origin: Origin,
    onnx_sha256: str,
    calibration: Calibration | None = None,
) -> Contract:
    """Describe a served model.

    Args:
        prepared: the table that the members were trained on.
        served: answers the golden rows.
        scale: standard deviation of a regression target in training; 1 for classes.
        members: of the served model.
        metrics: part ("validation", "test") -> metric -> value.
        origin: for the lineage.
        onnx_sha256: of the bytes of the ONNX file.
        calibration: of the served model.
    """
    table = prepared.table
    return Contract(
        name=table.name,
        columns=tuple(
            with_rules(
                with_reference(_column(profile), table.features.get_column(profile.name), prepared.train.rows),
                prepared,
            )
            for profile in profile_columns(table, prepared.train.rows)
        ),
        target=_target(prepared, served, scale=scale),
        metrics={part: _defined(values) for part, values in metrics.items()},
        lineage=Lineage(
            sweep=origin.sweep,
            data_fingerprint=table.fingerprint,
            code_version=origin.code_version,
            created=origin.created.astimezone(UTC).isoformat(timespec="seconds"),
            members=tuple(Member(run_id=member.run_id, name=member.name, weight=member.weight) for member in members),
        ),
        golden=_golden(prepared, served),
        calibration=calibration,
        background=tuple(raw_rows(table, _background_rows(table, prepared.train.rows))),
        onnx_sha256=onnx_sha256,
        opset=OPSET,
    )


def _defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """Without what a part leaves undefined, as ROC AUC where a class is absent: JSON has no NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _column(profile: ColumnProfile) -> Column:
    fields: dict[str, object] = {
        "kind": profile.kind,
        "name": profile.name,
        "nullable": profile.nullable,
        "example": profile.example,
    }
    if profile.kind == "categorical":
        fields["categories"] = profile.categories
    if profile.kind == "numeric":
        fields["integer"] = profile.integer
    if profile.kind in ("numeric", "date"):
        # A column that training never saw filled has no range: the reader gets the value that the encoder fills in.
        unknown = iso_date(0.0) if profile.kind == "date" else 0.0
        fields["minimum"] = unknown if profile.minimum is None else profile.minimum
        fields["maximum"] = unknown if profile.maximum is None else profile.maximum
    return TypeAdapter(Column).validate_python(fields)


def _target(prepared: PreparedTable, served: ServedModel, *, scale: float) -> Target:
    column = prepared.table.target
    target = Target(name=column.name, task=column.kind, classes=column.classes, scale=scale)
    rows = spread(prepared.validation.rows, at_most=MOST_ANSWERS)
    predictions = served.predict(prepared.encode(prepared.table.features[rows]))
    return target.model_copy(update={"reference": answers_reference(target, predictions)})


def _golden(prepared: PreparedTable, served: ServedModel) -> tuple[Golden, ...]:
    """Rows spread over the test part, some with missing values, and the training side's answers."""
    table = prepared.table
    rows = _golden_rows(table, train=prepared.train.rows, test=prepared.test.rows)
    predictions = served.predict(prepared.encode(table.features[rows]))
    return tuple(
        Golden(row=row, prediction=tuple(prediction))
        for row, prediction in zip(raw_rows(table, rows), predictions.tolist(), strict=True)
    )


def _golden_rows(table: Table, *, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """At most `GOLDEN_ROWS` rows of the test part, in order.

    A row without a value that training always had is not chosen: a reader may refuse it.
    """
    missing = is_missing(table.features)
    refused = (missing & ~missing[train].any(axis=0)).any(axis=1)
    accepted = test[~refused[test]]
    with_missing = accepted[missing[accepted].any(axis=1)][:GOLDEN_WITH_MISSING]
    others = np.setdiff1d(accepted, with_missing)
    return np.union1d(with_missing, spread(others, at_most=GOLDEN_ROWS - len(with_missing)))


def _background_rows(table: Table, train: np.ndarray) -> np.ndarray:
    """Rows of the training part, evenly from the first to the last by the target's value, so that all of it is met."""
    return spread(train[np.argsort(table.target_values[train], kind="stable")], at_most=BACKGROUND_ROWS)
