import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.errors import UserError
from pipelines.selection.ensemble import (
    Selection,
    average_predictions,
    best_member,
    choose_champion,
    greedy_ensemble,
    mean_ensemble,
)
from pipelines.tasks.metrics import METRICS_OF, score, score_members
from pipelines.tasks.task import LOSSES_OF, Task

seeds = st.integers(0, 2**32 - 1)
every_metric = st.sampled_from([(kind, metric) for kind, metrics in METRICS_OF.items() for metric in metrics])
max_members = st.integers(1, 5)
CLASSES = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}


def make(kind, metric):
    return Task(kind=kind, loss=LOSSES_OF[kind][0], metric=metric, classes=CLASSES[kind], center=0.0, scale=1.0)


def draw(task, seed, *, members=6, rows=25, dtype=np.float64):
    """Members that know something of the target, and rows in which every class occurs."""
    random = np.random.default_rng(seed)
    if task.kind == "regression":
        target = random.normal(size=rows)
        return (target[:, None] + random.normal(size=(members, rows, 1))).astype(dtype), target
    classes = len(task.classes)
    target = np.arange(rows) % classes
    logits = random.normal(size=(members, rows, classes)) + np.eye(classes)[target]
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return probabilities.astype(dtype), target


def score_of(task, predictions, target):
    value = score_members(task, torch.tensor(predictions)[None], torch.tensor(target), [task.metric])
    return score(task.metric, value[task.metric].item())


@settings(deadline=None, max_examples=60)
@given(kind_and_metric=every_metric, seed=seeds, limit=max_members, dtype=st.sampled_from([np.float32, np.float64]))
def test_greedy_is_never_worse_than_the_best_member_and_keeps_the_rules(kind_and_metric, seed, limit, dtype):
    task = make(*kind_and_metric)
    predictions, target = draw(task, seed, dtype=dtype)
    selection = greedy_ensemble(task, predictions, target, max_members=limit)
    best = max(score_of(task, member, target) for member in predictions)
    assert selection.score >= best - 1e-7 * abs(best)
    assert selection.weights.sum() == pytest.approx(1)
    assert (selection.weights >= 0).all()
    assert 1 <= np.count_nonzero(selection.weights) <= limit


@settings(deadline=None, max_examples=40)
@given(kind_and_metric=every_metric, seed=seeds)
def test_a_selection_scores_what_its_average_scores(kind_and_metric, seed):
    task = make(*kind_and_metric)
    predictions, target = draw(task, seed)
    selection = greedy_ensemble(task, predictions, target, max_members=4)
    average = average_predictions(predictions, selection.weights)
    assert list(selection.metrics) == list(METRICS_OF[task.kind])
    assert selection.score == score(task.metric, selection.metrics[task.metric]) == score_of(task, average, target)


@settings(deadline=None, max_examples=40)
@given(
    kind_and_metric=st.sampled_from([("regression", "rmse"), ("binary", "log_loss"), ("multiclass", "roc_auc")]),
    seed=seeds,
    limit=max_members,
)
def test_permuted_members_have_permuted_weights(kind_and_metric, seed, limit):
    task = make(*kind_and_metric)
    predictions, target = draw(task, seed)
    order = np.random.default_rng(seed).permutation(len(predictions))
    straight = greedy_ensemble(task, predictions, target, max_members=limit)
    permuted = greedy_ensemble(task, predictions[order], target, max_members=limit)
    np.testing.assert_array_equal(permuted.weights, straight.weights[order])


@settings(deadline=None, max_examples=40)
@given(kind_and_metric=every_metric, seed=seeds, limit=max_members)
def test_duplicates_change_nothing(kind_and_metric, seed, limit):
    task = make(*kind_and_metric)
    predictions, target = draw(task, seed)
    alone = greedy_ensemble(task, predictions, target, max_members=limit)
    doubled = greedy_ensemble(task, np.concatenate([predictions, predictions]), target, max_members=limit)
    np.testing.assert_array_equal(doubled.weights, np.concatenate([alone.weights, np.zeros(len(predictions))]))
    assert doubled.metrics == alone.metrics


def test_greedy_finds_the_weights_that_are_right_by_hand():
    # Target 0: errors +1 and -2 cancel at weights 2/3 and 1/3; the third member only disturbs.
    # Path: 0 (rmse 1), 1 (rmse 1/2), 0 (rmse 0): the prefix of three steps is the best.
    predictions = np.array([[1.0, 1.0], [-2.0, -2.0], [9.0, -9.0]])[..., None]
    selection = greedy_ensemble(make("regression", "rmse"), predictions, np.zeros(2), max_members=3)
    np.testing.assert_allclose(selection.weights, [2 / 3, 1 / 3, 0])
    assert selection.metrics["rmse"] == pytest.approx(0, abs=1e-15)
    assert selection.score == pytest.approx(0, abs=1e-15)


def test_a_perfect_member_stays_alone():
    target = np.array([1.0, 2.0, 3.0])
    predictions = np.stack([target + 1, target, target - 1])[..., None]
    selection = greedy_ensemble(make("regression", "rmse"), predictions, target, max_members=3)
    np.testing.assert_array_equal(selection.weights, [0, 1, 0])


def test_equal_roc_auc_is_parted_by_log_loss():
    target = np.array([0, 1])
    positive = np.array([[0.4, 0.6], [0.1, 0.9]])
    predictions = np.stack([1 - positive, positive], axis=-1)
    task = make("binary", "roc_auc")
    np.testing.assert_array_equal(best_member(task, predictions, target).weights, [0, 1])
    np.testing.assert_array_equal(greedy_ensemble(task, predictions, target, max_members=2).weights, [0, 1])


def test_a_metric_that_the_rows_leave_undefined_gives_way_to_the_tie_break():
    positive = np.array([[0.4, 0.6], [0.1, 0.2]])
    predictions = np.stack([1 - positive, positive], axis=-1)
    selection = greedy_ensemble(make("binary", "roc_auc"), predictions, np.array([0, 0]), max_members=2)
    np.testing.assert_array_equal(selection.weights, [0, 1])
    assert math.isnan(selection.score)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("choose", [greedy_ensemble, mean_ensemble], ids=["greedy", "mean"])
def test_members_without_finite_predictions_are_passed_over(broken, choose):
    task = make("regression", "rmse")
    predictions, target = draw(task, 0)
    alone = choose(task, predictions, target, max_members=4)
    spoilt = np.concatenate([np.full((1, *predictions.shape[1:]), broken), predictions])
    selection = choose(task, spoilt, target, max_members=4)
    np.testing.assert_array_equal(selection.weights, [0, *alone.weights])
    assert selection.metrics == alone.metrics


def test_a_sweep_in_which_every_member_failed_is_refused():
    with pytest.raises(UserError, match="None of the 2 trials predicts finite numbers, so there is no model to choose"):
        greedy_ensemble(make("regression", "rmse"), np.full((2, 3, 1), math.nan), np.zeros(3), max_members=2)


def test_the_mean_is_uniform_over_the_best_members():
    predictions = np.array([3.0, -1.0, 2.0, 0.5])[:, None, None] * np.ones((4, 5, 1))
    selection = mean_ensemble(make("regression", "rmse"), predictions, np.zeros(5), max_members=2)
    np.testing.assert_array_equal(selection.weights, [0, 0.5, 0, 0.5])
    assert selection.metrics["rmse"] == pytest.approx(0.25)
    assert selection.score == pytest.approx(-0.25)


def test_of_equal_members_the_first_are_taken():
    task, predictions, target = make("regression", "rmse"), np.array([2.0, 1.0, 1.0, 1.0])[:, None, None], np.zeros(1)
    np.testing.assert_array_equal(best_member(task, predictions, target).weights, [0, 1, 0, 0])
    np.testing.assert_array_equal(mean_ensemble(task, predictions, target, max_members=2).weights, [0, 0.5, 0.5, 0])


def test_a_mean_over_more_members_than_there_are_takes_all():
    predictions, target = draw(make("binary", "accuracy"), 0, members=3)
    selection = mean_ensemble(make("binary", "accuracy"), predictions, target, max_members=8)
    np.testing.assert_allclose(selection.weights, np.full(3, 1 / 3))


def test_an_average_does_not_look_at_members_without_weight():
    predictions = np.array([[[1.0]], [[math.nan]], [[3.0]]], dtype=np.float32)
    average = average_predictions(predictions, np.array([0.25, 0, 0.75]))
    assert average.dtype == np.float32
    assert average.item() == 2.5


def test_read_only_arrays_are_welcome():
    predictions, target = draw(make("binary", "log_loss"), 0)
    predictions.setflags(write=False)
    target.setflags(write=False)
    assert greedy_ensemble(make("binary", "log_loss"), predictions, target, max_members=2).weights.sum() == 1


def selection_of(score):
    return Selection(weights=np.ones(1), metrics={}, score=score)


@pytest.mark.parametrize(
    ("trial", "ensemble", "ensemble_wins"),
    [
        (0.8, 0.9, True),
        (0.9, 0.8, False),
        (0.9, 0.9, False),
        (0.9, 0.9 + 1e-15, False),
        (-0.5, -0.4, True),
        (0.9, math.nan, False),
    ],
    ids=["better", "worse", "tie", "tie-to-rounding", "better-loss", "undefined"],
)
def test_the_better_selection_becomes_champion_and_a_tie_goes_to_the_trial(trial, ensemble, ensemble_wins):
    single, several = selection_of(trial), selection_of(ensemble)
    assert choose_champion(single, several) is (several if ensemble_wins else single)


@settings(deadline=None, max_examples=30)
@given(metric=st.sampled_from(["rmse", "mae", "r2"]), seed=seeds, limit=max_members)
def test_with_folds_scores_are_the_mean_over_folds(metric, seed, limit):
    task = make("regression", metric)
    predictions, target = draw(task, seed)
    parts = [np.arange(fold, 25, 3) for fold in range(3)]

    def mean_of(values):
        return np.mean([score_of(task, values[part], target[part]) for part in parts])

    best = best_member(task, predictions, target, parts=parts)
    (place,) = np.flatnonzero(best.weights)
    assert place == np.argmax([mean_of(member) for member in predictions])
    assert best.score == pytest.approx(mean_of(predictions[place]))
    ensemble = greedy_ensemble(task, predictions, target, max_members=limit, parts=parts)
    assert ensemble.score == pytest.approx(mean_of(average_predictions(predictions, ensemble.weights)))
    assert ensemble.score >= best.score - 1e-9
