"""What scikit-learn reaches on the same split: a linear model and histogram gradient boosting, library defaults.

They see the encoded features that the nets see, learn from the training part alone, and are measured by the
same metrics. Not here: their runs (`pipelines.tracking`).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Num

from pipelines.config.schema import MetricName
from pipelines.data.encode import Features
from pipelines.data.prepare import Part, PreparedTable
from pipelines.tasks.metrics import score_members
from pipelines.tasks.task import Task

LARGEST_CATEGORICAL = 255  # categories that HistGradientBoosting can take as such
LINEAR_ITERATIONS = 10_000  # the default of 100 ends before it has converged


@dataclass(frozen=True)
class BaselineResult:
    """A fitted baseline's figures.

    Attributes:
        name: linear_regression or logistic_regression, and hist_gradient_boosting.
        seconds: wall time of the fit.
        validation: every metric of the task on the validation part.
        test: likewise on the test part.
    """

    name: str
    seconds: float
    validation: Mapping[MetricName, float]
    test: Mapping[MetricName, float]


def run_baselines(prepared: PreparedTable, task: Task) -> list[BaselineResult]:
    """Fit both baselines on the training part and measure them on the other two.

    With folds each is fitted once a fold: validation is the mean over folds, and on the test part the mean of all of
    its fits predicts, as of a served trial.
    """
    cardinalities = prepared.encoder.cardinalities
    n_numbers = prepared.encoder.n_numbers
    estimators = {
        _linear_name(task): _linear_model(task, n_numbers=n_numbers, cardinalities=cardinalities),
        "hist_gradient_boosting": _boosting(task, n_numbers=n_numbers, cardinalities=cardinalities),
    }
    return [_measured(name, estimator, prepared, task) for name, estimator in estimators.items()]


def _linear_name(task: Task) -> str:
    return "linear_regression" if task.kind == "regression" else "logistic_regression"


def _linear_model(task: Task, *, n_numbers: int, cardinalities: tuple[int, ...]) -> Any:
    """Least squares or logistic regression on numbers and one-hot categories; an unseen category is all zeros."""
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415  0.8 s that only a sweep's end should pay
    from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: PLC0415  likewise
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415  likewise
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415  likewise

    one_hot = OneHotEncoder(categories=[np.arange(1, size + 1) for size in cardinalities], handle_unknown="ignore")
    columns = ColumnTransformer(
        [
            ("numbers", "passthrough", np.arange(n_numbers)),
            ("categories", one_hot, n_numbers + np.arange(len(cardinalities))),
        ]
    )
    model = LinearRegression() if task.kind == "regression" else LogisticRegression(max_iter=LINEAR_ITERATIONS)
    return make_pipeline(columns, model)


def _boosting(task: Task, *, n_numbers: int, cardinalities: tuple[int, ...]) -> Any:
    from sklearn.ensemble import (  # noqa: PLC0415  0.8 s that only a sweep's end should pay
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    kind = HistGradientBoostingRegressor if task.kind == "regression" else HistGradientBoostingClassifier
    categorical = [n_numbers + place for place, size in enumerate(cardinalities) if size <= LARGEST_CATEGORICAL]
    return kind(categorical_features=categorical, random_state=0)


def _measured(name: str, estimator: Any, prepared: PreparedTable, task: Task) -> BaselineResult:
    seconds = 0.0
    validation, on_test = [], []
    for train, held_out, test in _fits(prepared):
        train_columns = _columns(train.features)
        started = time.perf_counter()
        estimator.fit(train_columns, train.target)
        seconds += time.perf_counter() - started
        validation.append(_metrics(_predictions(estimator, held_out.features, task), held_out.target, task))
        on_test.append(_predictions(estimator, test.features, task))
    return BaselineResult(
        name=name,
        seconds=seconds,
        validation={metric: float(np.mean([of_fold[metric] for of_fold in validation])) for metric in validation[0]},
        test=_metrics(np.mean(on_test, axis=0), prepared.test.target, task),
    )


def _fits(prepared: PreparedTable) -> Iterator[tuple[Part, Part, Part]]:
    """What to train on, what to measure on and the test part: once, or as each fold encodes them."""
    if not prepared.folds:
        yield prepared.train, prepared.validation, prepared.test
    everything = np.arange(len(prepared.test.rows))
    for number, fold in enumerate(prepared.folds):
        yield (
            _of_fold(prepared.train, number, fold.train),
            _of_fold(prepared.validation, number, fold.held_out),
            _of_fold(prepared.test, number, everything),
        )


def _of_fold(part: Part, fold: int, places: np.ndarray) -> Part:
    features = Features(part.features.numbers[fold, places], part.features.codes[fold, places])
    return Part(part.rows[places], features, part.target[places])


def _columns(features: Features) -> Float64[np.ndarray, "rows columns"]:
    """Numbers, then category codes, in float64: least squares loses digits in float32."""
    return np.hstack([features.numbers.astype(np.float64), features.codes.astype(np.float64)])


def _metrics(
    predictions: Float32[np.ndarray, "rows predictions"], target: Num[np.ndarray, " rows"], task: Task
) -> dict[MetricName, float]:
    values = score_members(task, torch.from_numpy(predictions)[None], torch.tensor(target))
    return {metric: value.item() for metric, value in values.items()}


def _predictions(estimator: Any, features: Features, task: Task) -> Float32[np.ndarray, "rows predictions"]:
    """In float32 as the nets' own, for log loss clips probabilities by their precision: one ruler for all."""
    columns = _columns(features)
    predictions = np.zeros((len(columns), task.n_predictions), dtype=np.float32)
    if task.kind == "regression":
        predictions[:, 0] = estimator.predict(columns)
    else:  # a class without a training row keeps probability 0
        predictions[:, estimator.classes_] = estimator.predict_proba(columns)
    return predictions
