import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from sklearn import metrics as oracle

from pipelines.tasks import metrics as room
from pipelines.tasks.metrics import HIGHER_IS_BETTER, METRICS_OF, score, score_members
from pipelines.tasks.task import LOSSES_OF, Task

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 40)


def make(kind, n_classes=0):
    classes = tuple(str(code) for code in range(n_classes))
    loss, metric = LOSSES_OF[kind][0], METRICS_OF[kind][0]
    return Task(kind=kind, loss=loss, metric=metric, classes=classes, center=0.0, scale=1.0)


def draw_probabilities(random, members, rows, classes, grid):
    """Probabilities on a coarse grid, so that ties, zeros and ones are common; grid None for a fine one."""
    raw = (
        random.random((members, rows, classes)) if grid is None else random.integers(0, grid, (members, rows, classes))
    )
    raw = np.where(raw.sum(-1, keepdims=True) == 0, 1.0, raw)
    return raw / raw.sum(-1, keepdims=True)


def draw_codes(random, rows, classes):
    return np.concatenate([np.arange(classes), random.integers(0, classes, rows)])[random.permutation(rows + classes)]


def assert_scores(values, expected):
    """`expected`: metric -> one number a member."""
    assert list(values) == list(expected)
    for metric, numbers in expected.items():
        assert values[metric].dtype == torch.float64
        np.testing.assert_allclose(values[metric].numpy(), numbers, rtol=1e-9, atol=1e-9, err_msg=metric)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, rows=sizes, members=st.integers(1, 4), spread=st.sampled_from([1e-3, 1.0, 1e6]))
def test_regression_metrics_equal_scikit_learn(seed, rows, members, spread):
    random = np.random.default_rng(seed)
    target = spread * random.normal(size=rows) + 5
    predictions = target[:, None] + spread * random.normal(size=(members, rows, 1))
    expected = {
        "rmse": [oracle.root_mean_squared_error(target, member[:, 0]) for member in predictions],
        "mae": [oracle.mean_absolute_error(target, member[:, 0]) for member in predictions],
        "r2": [oracle.r2_score(target, member[:, 0]) for member in predictions],
    }
    assert_scores(score_members(make("regression"), torch.tensor(predictions), torch.tensor(target)), expected)


@settings(deadline=None, max_examples=60)
@given(seed=seeds, rows=sizes, members=st.integers(1, 4), grid=st.sampled_from([None, 2, 4]))
def test_binary_metrics_equal_scikit_learn(seed, rows, members, grid):
    random = np.random.default_rng(seed)
    target = draw_codes(random, rows, 2)
    predictions = draw_probabilities(random, members, rows + 2, 2, grid)
    predictions[..., 0] = 1 - predictions[..., 1]
    expected = {
        "log_loss": [oracle.log_loss(target, member, labels=[0, 1]) for member in predictions],
        "roc_auc": [oracle.roc_auc_score(target, member[:, 1]) for member in predictions],
        "average_precision": [oracle.average_precision_score(target, member[:, 1]) for member in predictions],
        "accuracy": [oracle.accuracy_score(target, member.argmax(1)) for member in predictions],
        "f1": [oracle.f1_score(target, member.argmax(1)) for member in predictions],
        "brier": [oracle.brier_score_loss(target, member[:, 1]) for member in predictions],
    }
    assert_scores(score_members(make("binary", 2), torch.tensor(predictions), torch.tensor(target)), expected)


@settings(deadline=None, max_examples=60)
@given(seed=seeds, rows=sizes, members=st.integers(1, 3), classes=st.integers(3, 6), grid=st.sampled_from([None, 2, 4]))
def test_multiclass_metrics_equal_scikit_learn(seed, rows, members, classes, grid):
    random = np.random.default_rng(seed)
    target = draw_codes(random, rows, classes)
    predictions = draw_probabilities(random, members, rows + classes, classes, grid)
    expected = {
        "log_loss": [oracle.log_loss(target, member) for member in predictions],
        "accuracy": [oracle.accuracy_score(target, member.argmax(1)) for member in predictions],
        "macro_f1": [oracle.f1_score(target, member.argmax(1), average="macro") for member in predictions],
        "roc_auc": [oracle.roc_auc_score(target, member, multi_class="ovr") for member in predictions],
    }
    task = make("multiclass", classes)
    assert_scores(score_members(task, torch.tensor(predictions), torch.tensor(target)), expected)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, rows=sizes, classes=st.integers(3, 6))
def test_metrics_of_labels_equal_scikit_learn_when_classes_are_absent(seed, rows, classes):
    random = np.random.default_rng(seed)
    target = random.integers(0, classes - 1, rows)
    predictions = draw_probabilities(random, 3, rows, classes, 4)
    expected = {
        "log_loss": [oracle.log_loss(target, member, labels=range(classes)) for member in predictions],
        "macro_f1": [oracle.f1_score(target, member.argmax(1), average="macro") for member in predictions],
    }
    task = make("multiclass", classes)
    assert_scores(score_members(task, torch.tensor(predictions), torch.tensor(target), tuple(expected)), expected)
    assert score_members(task, torch.tensor(predictions), torch.tensor(target))["roc_auc"].isnan().all()


@pytest.mark.parametrize("wrong", [0.0, 1e-12])
def test_log_loss_clips_by_the_precision_of_the_probabilities_as_scikit_learn(wrong):
    predictions = np.array([[[1 - wrong, wrong], [1.0, 0.0]]], dtype=np.float32)
    target = np.array([1, 0])
    values = score_members(make("binary", 2), torch.tensor(predictions), torch.tensor(target), ["log_loss"])
    assert values["log_loss"].item() == pytest.approx(oracle.log_loss(target, predictions[0]), rel=1e-6)


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_alone_leaves_roc_auc_undefined_and_nothing_crashes(only):
    predictions = torch.tensor([[[0.3, 0.7], [0.6, 0.4]]], dtype=torch.float64)
    values = score_members(make("binary", 2), predictions, torch.full((2,), only))
    assert values["roc_auc"].isnan().all()
    assert values["accuracy"].item() == 0.5
    assert values["average_precision"].isnan().all() if only == 0 else values["average_precision"].item() == 1


@pytest.mark.parametrize(("predicted", "expected"), [(2.0, 1.0), (2.5, 0.0)])
def test_r2_of_a_constant_target_is_scikit_learns(predicted, expected):
    target = torch.full((3,), 2.0, dtype=torch.float64)
    values = score_members(make("regression"), torch.full((1, 3, 1), predicted).double(), target)
    assert values["r2"].item() == expected == oracle.r2_score(target, np.full(3, predicted))


def test_r2_of_one_row_is_undefined():
    values = score_members(make("regression"), torch.ones(1, 1, 1), torch.ones(1))
    assert values["r2"].isnan().all()
    assert values["rmse"].item() == 0


@pytest.mark.parametrize(("kind", "classes"), [("regression", 0), ("binary", 2), ("multiclass", 4)])
def test_a_member_with_one_nan_has_nan_metrics_and_the_others_theirs(kind, classes):
    task = make(kind, classes)
    random = np.random.default_rng(0)
    healthy = torch.tensor(random.dirichlet(np.ones(task.n_predictions), (3, 20)))
    target = torch.tensor(draw_codes(random, 20 - classes, classes) if classes else random.normal(size=20))
    broken = healthy.clone()
    broken[1, 7, 0] = math.nan
    before, after = score_members(task, healthy, target), score_members(task, broken, target)
    assert len(after) == len(METRICS_OF[kind])
    for metric, values in after.items():
        assert values[1].isnan(), metric
        assert torch.equal(values[[0, 2]], before[metric][[0, 2]]), metric


def test_members_in_chunks_have_the_same_metrics(monkeypatch):
    random = np.random.default_rng(0)
    task = make("multiclass", 3)
    predictions = torch.tensor(draw_probabilities(random, 7, 13, 3, None))
    target = torch.tensor(draw_codes(random, 10, 3))
    whole = score_members(task, predictions, target)
    monkeypatch.setattr(room, "CHUNK_ELEMENTS", 2 * 13 * 3)
    assert room.members_at_once(13 * 3) == 2
    chunked = score_members(task, predictions, target)
    assert len(whole) == 4
    for metric, values in whole.items():
        torch.testing.assert_close(chunked[metric], values, rtol=1e-12, atol=0)


def test_sums_are_exact_for_float32_predictions_far_from_zero():
    target = torch.full((100_000,), 1e6, dtype=torch.float64)
    predictions = torch.full((1, 100_000, 1), 1e6 + 1, dtype=torch.float32)
    values = score_members(make("regression"), predictions, target, ["rmse", "mae"])
    assert values["rmse"].item() == values["mae"].item() == 1


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_roc_auc_of_the_other_class_is_the_complement(seed):
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, 30)
    assume(0 < target.sum() < 30)
    predictions = torch.tensor(draw_probabilities(random, 2, 30, 2, 4))
    task = make("binary", 2)
    ahead = score_members(task, predictions, torch.tensor(target), ["roc_auc"])["roc_auc"]
    behind = score_members(task, predictions, torch.tensor(1 - target), ["roc_auc"])["roc_auc"]
    torch.testing.assert_close(ahead + behind, torch.ones(2, dtype=torch.float64))


def test_scores_are_greater_for_better_values():
    better = {metric: 1.0 if higher else 0.0 for metric, higher in HIGHER_IS_BETTER.items()}
    assert better
    for metric, value in better.items():
        assert score(metric, value) > score(metric, 1.0 - value), metric
    assert torch.equal(score("rmse", torch.tensor([2.0])), torch.tensor([-2.0]))
