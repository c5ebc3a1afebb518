"""Contributions are Shapley values: exact where two columns at most work together, and lawful everywhere."""

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, strategies as st

from serving.answers.shapley import MOST_PREDICTIONS, Explainer
from serving.bundle import BundleError, CategoricalColumn, Contract, NumericColumn, Target
from serving.predictor import Predictor
from serving.reading.rows import columns_from_rows
from tests.serving.bundles import LINEAGE

LABELS = ("a", "b", "c")
Formula = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Model:
    """A formula in place of a loaded bundle."""

    def __init__(self, formula: Formula, background: list[dict[str, Any]], *, classes: tuple[str, ...] = ()) -> None:
        columns = [
            CategoricalColumn(name=name, nullable=True, categories=LABELS, example="a")
            if name == "label"
            else NumericColumn(name=name, nullable=True, minimum=0, maximum=1, integer=False, example=0)
            for name in background[0]
        ]
        self.contract = Contract(
            name="formula",
            columns=tuple(columns),
            target=Target(name="y", task="binary" if classes else "regression", classes=classes),
            metrics={},
            lineage=LINEAGE,
            golden=(),
            background=tuple(background),
            onnx_sha256="",
            opset=20,
        )
        self._formula = formula

    def predict(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        predicted = np.asarray(self._formula(columns), dtype=np.float64)
        return predicted if predicted.ndim == 2 else predicted[:, None]


def explain(model: Model, rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base, [N], contributions, [N, C], and predictions, [N, P]."""
    columns = columns_from_rows(model.contract, rows)
    predictions = model.predict(columns)
    explanation = Explainer(cast(Predictor, model)).explain(columns, predictions)
    return explanation.base, np.transpose(list(explanation.contributions.values())), predictions


def shapley_values(model: Model, row: dict[str, Any]) -> list[float]:
    """By every order of the columns."""
    background = list(model.contract.background)
    total = dict.fromkeys(row, 0.0)
    orders = list(permutations(row))
    for order in orders:
        mixed = [dict(own) for own in background]
        before = model.predict(columns_from_rows(model.contract, mixed)).mean()
        for name in order:
            mixed = [own | {name: row[name]} for own in mixed]
            after = model.predict(columns_from_rows(model.contract, mixed)).mean()
            total[name] += (after - before) / len(orders)
            before = after
    return list(total.values())


def pairs(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """No more than two columns work together; `d` does nothing."""
    x, y, label = columns["x"], columns["y"], columns["label"]
    value: np.ndarray = 3 * x**2 + x * y + np.where(label == "b", y, -1.0) + 0 * columns["d"]
    return value


def crowds(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """All columns work together, save `d`."""
    value: np.ndarray = np.exp(columns["x"]) * np.sin(columns["y"]) * np.where(columns["label"] == "b", 2.0, -1.0)
    return value


VALUES = st.floats(-2, 2).map(lambda value: round(value, 3))
ROWS = st.tuples(VALUES, VALUES, st.sampled_from(LABELS), VALUES).map(
    lambda cells: dict(zip(("x", "y", "label", "d"), cells, strict=True))
)
BACKGROUNDS = st.lists(ROWS, min_size=1, max_size=5)


@given(BACKGROUNDS, ROWS)
def test_where_two_columns_work_together_shapley_values_are_exact(background, row):
    model = Model(pairs, background)
    _, contributions, _ = explain(model, [row])
    np.testing.assert_allclose(contributions[0], shapley_values(model, row), atol=1e-9)


@pytest.mark.parametrize("formula", [pairs, crowds])
@given(background=BACKGROUNDS, rows=st.lists(ROWS, min_size=1, max_size=4))
def test_contributions_add_up_and_a_column_without_effect_adds_nothing(formula: Formula, background, rows):
    base, contributions, predictions = explain(Model(formula, background), rows)
    np.testing.assert_allclose(base + contributions.sum(axis=1), predictions[:, 0], atol=1e-9)
    np.testing.assert_allclose(contributions[:, 3], 0, atol=1e-9)


@given(BACKGROUNDS, st.lists(ROWS, min_size=2, max_size=4))
def test_a_row_is_explained_alone_as_among_others(background, rows):
    model = Model(crowds, background)
    _, together, _ = explain(model, rows)
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(explain(model, [row])[1][0], together[place])


def test_of_classes_the_likeliest_is_explained():
    def probabilities(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        positive = 1 / (1 + np.exp(-columns["x"]))
        return np.stack([1 - positive, positive], axis=1)

    model = Model(probabilities, [{"x": -1.0, "y": 0.0}, {"x": 0.0, "y": 1.0}], classes=("no", "yes"))
    base, contributions, predictions = explain(model, [{"x": 3.0, "y": 5.0}, {"x": -3.0, "y": 5.0}])
    means = model.predict(columns_from_rows(model.contract, model.contract.background)).mean(axis=0)
    np.testing.assert_allclose(base, [means[1], means[0]])
    np.testing.assert_allclose(base + contributions[:, 0], predictions.max(axis=1))
    np.testing.assert_allclose(contributions[:, 1], 0, atol=1e-12)


def test_a_single_column_adds_everything():
    base, contributions, _ = explain(Model(lambda columns: columns["x"], [{"x": 1.0}, {"x": 3.0}]), [{"x": 10.0}])
    assert (base.tolist(), contributions.tolist()) == ([2.0], [[8.0]])


def test_of_wide_tables_fewer_rows_are_explained_at_once():
    def summed(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        total: np.ndarray = sum(columns.values())  # type: ignore[assignment]  # of arrays
        return total

    wide = {f"column {place}": float(place) for place in range(784)}
    model = Model(summed, [dict.fromkeys(wide, 0.0)] * 16)
    most = Explainer(cast(Predictor, model)).most_rows
    assert 1 <= most <= MOST_PREDICTIONS // (2 * 16 * 783)
    _, contributions, _ = explain(model, [wide])
    np.testing.assert_allclose(contributions[0], np.arange(784.0), atol=1e-6)


def test_a_background_that_cannot_be_answered_is_said():
    def fail(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        raise RuntimeError("too bad")

    with pytest.raises(BundleError, match="formula: the background rows cannot be answered: too bad"):
        Explainer(cast(Predictor, Model(fail, [{"x": 1.0}])))
