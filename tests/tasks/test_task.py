import numpy as np
import pytest
import torch

from pipelines.config.schema import TaskConfig
from pipelines.errors import UserError
from pipelines.tasks.losses import _ROW_LOSSES
from pipelines.tasks.metrics import _METRICS, HIGHER_IS_BETTER
from pipelines.tasks.task import LOSSES_OF, METRICS_OF, Task, make_task

CODES = np.array([0, 1, 1, 0])
CLASSES = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}


def config(kind="auto", loss="auto", metric="auto"):
    return TaskConfig(kind=kind, loss=loss, metric=metric, class_weights="none", label_smoothing=0.0)


def task(kind, loss, *, center=0.0, scale=1.0):
    return Task(kind=kind, loss=loss, metric=METRICS_OF[kind][0], classes=CLASSES[kind], center=center, scale=scale)


@pytest.mark.parametrize(
    ("kind", "loss", "metric"),
    [
        ("regression", "mse", "rmse"),
        ("binary", "cross_entropy", "log_loss"),
        ("multiclass", "cross_entropy", "log_loss"),
    ],
)
def test_auto_takes_the_usual_loss_and_metric(kind, loss, metric):
    made = make_task(config(), kind=kind, classes=CLASSES[kind], train_target=CODES)
    assert (made.kind, made.loss, made.metric, made.classes) == (kind, loss, metric, CLASSES[kind])


def test_auto_ranks_hinge_scores_by_roc_auc():
    made = make_task(config(loss="hinge"), kind="binary", classes=("no", "yes"), train_target=CODES)
    assert (made.loss, made.metric) == ("hinge", "roc_auc")


def test_what_is_asked_for_is_taken():
    made = make_task(
        config(loss="one_versus_rest", metric="macro_f1"), kind="multiclass", classes=("a", "b"), train_target=CODES
    )
    assert (made.loss, made.metric) == ("one_versus_rest", "macro_f1")


def test_a_regression_target_is_standardised_by_the_training_part_and_linked_back():
    target = np.array([10.0, 30.0, 20.0, 60.0])
    made = make_task(config(), kind="regression", classes=(), train_target=target)
    assert made.center == 30.0
    assert made.scale == target.std()
    standardised = made.standardise(torch.tensor(target))
    assert standardised.mean().item() == pytest.approx(0, abs=1e-15)
    assert standardised.std(correction=0).item() == pytest.approx(1)
    torch.testing.assert_close(made.link(standardised[:, None])[:, 0], torch.tensor(target))


def test_a_constant_training_target_has_scale_one():
    made = make_task(config(), kind="regression", classes=(), train_target=np.full(10, 0.1))
    assert (made.center, made.scale) == (pytest.approx(0.1), 1.0)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ([1.7e9, 1.7e9 + 1, 1.7e9 + 2], "no digits left for a spread of 0.816 around 1.7e+09. Subtract a constant"),
        ([1e-60, 3e-60], "no digits left for a spread of 1e-60 around 2e-60"),
        ([1.0, 1e39], "from 1 to 1e+39, and predictions are float32: none lies beyond 1e+37. Change its unit."),
        ([-1e200, 1e200], "none lies beyond 1e+37"),
    ],
)
def test_a_target_that_float32_cannot_tell_is_refused_before_training(target, told):
    with pytest.raises(UserError) as error:
        make_task(config(), kind="regression", classes=(), train_target=np.array(target))
    assert told in str(error.value)


def test_class_codes_are_not_standardised():
    made = make_task(config(), kind="binary", classes=("no", "yes"), train_target=CODES)
    assert (made.center, made.scale) == (0.0, 1.0)


def test_a_loss_of_another_kind_is_refused_with_what_is_allowed():
    with pytest.raises(UserError) as error:
        make_task(config(loss="hinge"), kind="regression", classes=(), train_target=CODES)
    assert str(error.value) == (
        "task.loss=hinge does not belong to a regression task. Allowed: auto, mse, mae, huber. "
        "The task was inferred from the target; force another with `task=`."
    )


def test_a_metric_of_another_kind_is_refused_with_what_is_allowed():
    with pytest.raises(UserError) as error:
        make_task(config(kind="multiclass", metric="rmse"), kind="multiclass", classes=("a",), train_target=CODES)
    assert str(error.value) == (
        "task.metric=rmse does not belong to a multiclass task. Allowed: auto, log_loss, accuracy, macro_f1, roc_auc."
    )


def test_every_loss_and_metric_of_a_kind_is_there_and_no_other():
    assert set(_ROW_LOSSES) == {(kind, loss) for kind, losses in LOSSES_OF.items() for loss in losses}
    assert set(_METRICS) == {(kind, metric) for kind, metrics in METRICS_OF.items() for metric in metrics}
    assert set(HIGHER_IS_BETTER) == {metric for metrics in METRICS_OF.values() for metric in metrics}


@pytest.mark.parametrize(
    ("kind", "loss"), [("binary", "hinge"), ("multiclass", "cross_entropy"), ("multiclass", "one_versus_rest")]
)
def test_class_predictions_are_probabilities_that_sum_to_one(kind, loss):
    made = task(kind, loss)
    outputs = torch.randn(3, 5, made.n_outputs, generator=torch.Generator().manual_seed(0))
    predictions = made.link(outputs)
    assert predictions.shape == (3, 5, made.n_predictions)
    assert (predictions >= 0).all()
    torch.testing.assert_close(predictions.sum(-1), torch.ones(3, 5))


def test_one_versus_rest_scores_are_sigmoids_made_to_sum_to_one():
    outputs = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64)
    sigmoids = torch.sigmoid(outputs)
    torch.testing.assert_close(task("multiclass", "one_versus_rest").link(outputs), sigmoids / sigmoids.sum())


def test_one_versus_rest_survives_a_row_that_every_class_refuses():
    predictions = task("multiclass", "one_versus_rest").link(torch.tensor([[-300.0, -299.0, -400.0]]))
    torch.testing.assert_close(predictions, torch.softmax(torch.tensor([[-300.0, -299.0, -400.0]]), dim=-1))
