import numpy as np
import pytest
from polars.testing import assert_frame_equal

from pipelines.data.builtin import EXAM_COEFFICIENTS, ICE_CREAM_COEFFICIENTS, load_builtin
from pipelines.data.prepare import prepare_table
from tests.data.asking import asked

SHAPES = {
    "diabetes": (442, 11, "progression", "regression", 0),
    "breast_cancer": (569, 31, "diagnosis", "binary", 2),
    "wine": (178, 14, "cultivar", "multiclass", 3),
    "iris": (150, 5, "species", "multiclass", 3),
    "digits": (1797, 65, "digit", "multiclass", 10),
    "ice_cream": (1000, 4, "sales", "regression", 0),
    "exam": (600, 3, "result", "binary", 2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_builtin_table_has_its_shape_and_its_task(name):
    n_rows, n_columns, target, kind, n_classes = SHAPES[name]
    frame, target_name = load_builtin(name)
    assert (frame.shape, target_name) == ((n_rows, n_columns), target)
    assert_frame_equal(frame, load_builtin(name)[0])
    prepared = prepare_table(asked(source=name, target=None), "auto")
    assert (prepared.table.name, prepared.table.target.kind) == (name, kind)
    assert len(prepared.table.target.classes) == n_classes
    assert len(prepared.table.columns) == n_columns - 1


def test_names_of_columns_can_be_typed_in_a_shell():
    names = [column for name in SHAPES for column in load_builtin(name)[0].columns]
    assert len(names) > 100
    assert all(name.isidentifier() for name in names)


def test_ice_cream_sales_follow_their_truth():
    frame, _ = load_builtin("ice_cream")
    inputs = ["temperature", "humidity", "discount"]
    design = np.column_stack([np.ones(frame.height), frame.select(inputs).to_numpy()])
    fitted, *_ = np.linalg.lstsq(design, frame["sales"].to_numpy(), rcond=None)
    np.testing.assert_allclose(fitted, [ICE_CREAM_COEFFICIENTS[name] for name in ("intercept", *inputs)], rtol=0.02)
    assert ICE_CREAM_COEFFICIENTS == {"intercept": 4.0, "temperature": 10.0, "humidity": -2.0, "discount": 20.0}


def test_exams_are_passed_as_often_as_their_truth_says():
    frame, _ = load_builtin("exam")
    log_odds = EXAM_COEFFICIENTS["intercept"] + sum(
        EXAM_COEFFICIENTS[name] * frame[name].to_numpy() for name in ("lectures", "project_hours")
    )
    chance = 1 / (1 + np.exp(-log_odds))
    passed = frame["result"].to_numpy() == "pass"
    spread = np.sqrt((chance * (1 - chance)).sum())
    assert abs(passed.sum() - chance.sum()) < 3 * spread
    assert passed[chance > 0.9].mean() > 0.85
    assert passed[chance < 0.1].mean() < 0.15


def test_a_builtin_table_may_be_given_another_name():
    assert prepare_table(asked(source="iris", target=None, name="flowers"), "auto").table.name == "flowers"
