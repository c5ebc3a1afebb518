import numpy as np
import polars as pl
import pytest
from sklearn import metrics as oracle
from sklearn.linear_model import LogisticRegression

from pipelines.data.encode import CategoryEncoding, Encoder, Features, NumberEncoding
from pipelines.data.prepare import Part, PreparedTable
from pipelines.data.table import Column, Table, Target
from pipelines.selection.baselines import run_baselines
from pipelines.tasks.task import LOSSES_OF, METRICS_OF, Task
from tests.folds import fold_alone, in_folds, raw_table

LABELS = ("blue", "green", "red")
EFFECTS = np.array([0.0, -2.0, 0.0, 3.0])  # of unseen and of each label


def make_task(kind, classes=()):
    return Task(kind=kind, loss=LOSSES_OF[kind][0], metric=METRICS_OF[kind][0], classes=classes, center=0.0, scale=1.0)


def prepare(task, numbers, codes, target, *, cardinalities, train=0.6):
    """Parts in the order of the rows: training, validation, test."""
    number_encodings = tuple(NumberEncoding(f"n{i}", 0.0, 0.0, 1.0, indicator=False) for i in range(numbers.shape[1]))
    category_encodings = tuple(
        CategoryEncoding(f"c{i}", tuple(str(label) for label in range(size))) for i, size in enumerate(cardinalities)
    )
    rows = np.arange(len(target))
    first, second = int(train * len(rows)), int((1 + train) / 2 * len(rows))
    parts = [
        Part(part, Features(numbers[part].astype(np.float32), codes[part].astype(np.int32)), target[part])
        for part in (rows[:first], rows[first:second], rows[second:])
    ]
    table = Table(
        name="made",
        columns=(Column("n0", "numeric"),),
        features=pl.DataFrame(),
        target=Target("y", task.kind, task.classes, "made"),
        target_values=target,
    )
    return PreparedTable(table, Encoder(number_encodings, (), category_encodings), *parts)


def draw(rows=400, *, unseen_in_validation=True):
    """Numbers [N, 2] and codes [N, 1] of three labels, with unseen ones behind the training part."""
    random = np.random.default_rng(0)
    codes = random.integers(1, 4, (rows, 1))
    if unseen_in_validation:
        codes[int(0.6 * rows) :: 7] = 0
    return random.normal(size=(rows, 2)), codes, random


def by_name(results):
    return {result.name: result for result in results}


def linear_signal(numbers, codes):
    return 5 + numbers @ [2.0, -1.0] + EFFECTS[codes[:, 0]]


def test_least_squares_finds_a_linear_truth_with_categories_and_boosting_comes_near():
    task = make_task("regression")
    numbers, codes, random = draw(unseen_in_validation=False)
    target = linear_signal(numbers, codes) + 0.01 * random.normal(size=len(numbers))
    results = by_name(run_baselines(prepare(task, numbers, codes, target, cardinalities=(3,)), task))
    assert list(results) == ["linear_regression", "hist_gradient_boosting"]
    assert results["linear_regression"].test["rmse"] < 0.02
    assert results["hist_gradient_boosting"].test["r2"] > 0.9
    for result in results.values():
        assert result.seconds > 0
        assert tuple(result.validation) == tuple(result.test) == METRICS_OF["regression"]


def test_binary_baselines_are_measured_on_each_part_as_scikit_learn_would():
    task = make_task("binary", ("no", "yes"))
    numbers, codes, random = draw()
    target = (linear_signal(numbers, codes) + random.logistic(size=len(numbers)) > 5).astype(np.int64)
    prepared = prepare(task, numbers, codes, target, cardinalities=(3,))
    results = by_name(run_baselines(prepared, task))
    assert list(results) == ["logistic_regression", "hist_gradient_boosting"]
    assert all(result.test["roc_auc"] > 0.75 for result in results.values())

    def columns(part):
        return np.hstack([part.features.numbers, part.features.codes == [1, 2, 3]])

    model = LogisticRegression(max_iter=1000, tol=1e-8).fit(columns(prepared.train), prepared.train.target)
    expected = oracle.log_loss(prepared.test.target, model.predict_proba(columns(prepared.test)))
    assert results["logistic_regression"].test["log_loss"] == pytest.approx(expected, rel=1e-3)


def test_multiclass_baselines_know_every_class_even_one_without_a_training_row():
    task = make_task("multiclass", LABELS)
    numbers, codes, _ = draw(rows=120)
    target = (numbers[:, 0] > 0).astype(np.int64)
    target[-5:] = 2
    results = run_baselines(prepare(task, numbers, codes, target, cardinalities=(3,)), task)
    assert len(results) == 2
    for result in results:
        assert tuple(result.test) == METRICS_OF["multiclass"]
        assert np.isfinite(list(result.test.values())).all()
        assert result.test["accuracy"] < 1


def test_two_runs_give_the_same_figures():
    task = make_task("binary", ("no", "yes"))
    numbers, codes, _ = draw(rows=200)
    prepared = prepare(task, numbers, codes, codes[:, 0] % 2, cardinalities=(3,))
    first, second = run_baselines(prepared, task), run_baselines(prepared, task)
    assert [(one.validation, one.test) for one in first] == [(one.validation, one.test) for one in second]
    assert len(first) == 2


def test_only_the_training_part_is_learnt_from():
    task = make_task("regression")
    numbers, codes, _ = draw()
    target = linear_signal(numbers, codes)
    misled = target.copy()
    misled[240:320] *= -1  # the validation part
    straight = run_baselines(prepare(task, numbers, codes, target, cardinalities=(3,)), task)
    other = run_baselines(prepare(task, numbers, codes, misled, cardinalities=(3,)), task)
    assert [one.test for one in straight] == [one.test for one in other]
    assert [one.validation for one in straight] != [one.validation for one in other]


@pytest.mark.parametrize(
    ("n_numbers", "cardinalities"), [(2, ()), (0, (3,)), (1, (3, 300))], ids=["numbers", "codes", "many"]
)
def test_tables_of_numbers_of_categories_and_of_many_categories_are_learnt(n_numbers, cardinalities):
    task = make_task("regression")
    random = np.random.default_rng(0)
    numbers = random.normal(size=(900, n_numbers))
    codes = np.stack([random.integers(1, size + 1, 900) for size in cardinalities], axis=1) if cardinalities else None
    codes = np.zeros((900, 0)) if codes is None else codes
    target = numbers.sum(axis=1) + codes.sum(axis=1)
    results = run_baselines(prepare(task, numbers, codes, target, cardinalities=cardinalities), task)
    assert len(results) == 2
    assert all(result.test["r2"] > 0.85 for result in results)


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_with_folds_a_baseline_is_fitted_once_a_fold_and_their_mean_answers(kind):
    prepared, task = in_folds(raw_table(kind, n_rows=200, awkward=True))
    alone = [run_baselines(*fold_alone(prepared, fold))[0] for fold in range(3)]
    (linear, _) = run_baselines(prepared, task)
    for metric, value in linear.validation.items():
        assert value == pytest.approx(np.mean([own.validation[metric] for own in alone]), rel=1e-5)
    metric = task.metric
    assert linear.test[metric] <= np.mean([own.test[metric] for own in alone]) + 1e-6, "both losses are convex"
