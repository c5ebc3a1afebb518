import math

import pytest
from hypothesis import given, strategies as st

from pipelines.selection.scores import rank_members, tie_break_metric
from pipelines.tasks.task import Task


def make(kind, metric):
    loss = "mse" if kind == "regression" else "cross_entropy"
    return Task(kind=kind, loss=loss, metric=metric, classes=(), center=0.0, scale=1.0)


def test_the_greatest_score_comes_first():
    assert rank_members([0.1, 0.9, 0.5]) == [1, 2, 0]


def test_equal_scores_keep_their_order():
    assert rank_members([0.5, 0.9, 0.5, 0.9]) == [1, 3, 0, 2]


def test_failures_come_last_even_behind_minus_infinity():
    assert rank_members([math.nan, -math.inf, None, 0.3]) == [3, 1, 0, 2]


def test_a_tie_break_parts_equal_scores_alone():
    assert rank_members([1.0, 1.0, 0.5, 1.0], tie_breaks=[-0.3, -0.1, 0.0, None]) == [1, 0, 3, 2]


def test_no_members_have_no_order():
    assert rank_members([]) == []


@given(st.lists(st.one_of(st.none(), st.floats())))
def test_ranking_is_a_permutation_with_falling_scores(scores):
    order = rank_members(scores)
    assert sorted(order) == list(range(len(scores)))
    ranked = [scores[member] for member in order]
    alive = [score for score in ranked if score is not None and not math.isnan(score)]
    assert alive == sorted(alive, reverse=True)
    assert ranked[: len(alive)] == alive


@pytest.mark.parametrize(
    ("kind", "metric", "tie_break"),
    [("regression", "r2", "rmse"), ("binary", "roc_auc", "log_loss"), ("multiclass", "accuracy", "log_loss")],
)
def test_rank_metrics_are_parted_by_a_smooth_one(kind, metric, tie_break):
    assert tie_break_metric(make(kind, metric)) == tie_break
