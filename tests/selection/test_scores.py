import pytest

from pipelines.selection.scores import tie_break_metric
from pipelines.tasks.task import Task


def make(kind, metric):
    loss = "mse" if kind == "regression" else "cross_entropy"
    return Task(kind=kind, loss=loss, metric=metric, classes=(), center=0.0, scale=1.0)


@pytest.mark.parametrize(
    ("kind", "metric", "tie_break"),
    [("regression", "r2", "rmse"), ("binary", "roc_auc", "log_loss"), ("multiclass", "accuracy", "log_loss")],
)
def test_rank_metrics_are_parted_by_a_smooth_one(kind, metric, tie_break):
    assert tie_break_metric(make(kind, metric)) == tie_break
