"""A linear model's coefficients in the columns' own units: what a reader of a linear model asks for first."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from pipelines.data.encode import Encoder
from pipelines.data.prepare import PreparedTable
from pipelines.tasks.task import Task

CoefficientTable = Mapping[str, Sequence[str | float | int]]


def coefficient_table(members: Sequence[Mapping[str, Tensor]], prepared: PreparedTable, task: Task) -> CoefficientTable:
    """Undo the scaling of columns and target: `target = intercept + sum(coefficient * column)`.

    A categorical column has one coefficient a category, which adds to the target where the category holds. Classes
    have one set of log-odds (or scores) an output instead of a target in its own unit.

    Args:
        members: weights of one linear member, or of one a fold: `output.weight` [O, F] and `output.bias` [O].
        prepared: how columns became features, by each fold's statistics.
        task: how the target was scaled, likewise.

    Returns:
        Columns `output`, `feature` and `coefficient`, the mean over folds; the first feature of every output is
        `intercept`.
    """
    encoders = [fold.encoder for fold in prepared.folds] or [prepared.encoder]
    values = np.mean(
        [
            _raw_coefficients(weights, encoder=encoder, task=task.of_fold(fold))
            for fold, (weights, encoder) in enumerate(zip(members, encoders, strict=True))
        ],
        axis=0,
    )
    outputs = task.classes if len(values) > 1 else (task.classes[1:] or ("value",))
    features = ["intercept", *feature_names(prepared.encoder)]
    return {
        "output": [output for output in outputs for _ in features],
        "feature": features * len(outputs),
        "coefficient": [float(value) for value in values.ravel()],
    }


def _raw_coefficients(
    weights: Mapping[str, Tensor], *, encoder: Encoder, task: Task
) -> Float64[np.ndarray, "outputs features"]:
    """Intercept and slopes in the columns' own units."""
    slopes = weights["output.weight"].double().numpy() * task.scale  # [O, F]
    intercepts = weights["output.bias"].double().numpy() * task.scale + task.center  # [O]
    n_scaled = len(encoder.numbers)
    centers = np.array([number.center for number in encoder.numbers])
    scales = np.array([number.scale for number in encoder.numbers])
    raw_slopes = slopes.copy()
    raw_slopes[:, :n_scaled] = slopes[:, :n_scaled] / scales
    raw_intercepts = intercepts - raw_slopes[:, :n_scaled] @ centers
    return np.column_stack([raw_intercepts, raw_slopes])


def feature_names(encoder: Encoder) -> list[str]:
    """A name for every feature, in the order that nets see them."""
    cycles = [
        f"{wave}({cycle.column}, {cycle.period_days:g} days)" for cycle in encoder.cycles for wave in ("sin", "cos")
    ]
    return [
        *(number.column for number in encoder.numbers),
        *(f"{number.column} is missing" for number in encoder.numbers if number.indicator),
        *cycles,
        *(f"{column.column} = {label or 'missing'}" for column in encoder.categories for label in column.categories),
    ]
