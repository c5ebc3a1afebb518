"""Label smoothing and class weights against `torch.nn.functional.cross_entropy` and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from pipelines.config.schema import TaskConfig
from pipelines.errors import UserError
from pipelines.tasks.losses import member_loss
from pipelines.tasks.task import Task, make_task

WEIGHTS = torch.tensor([(0.5, 2.0, 1.25), (1.0, 1.0, 1.0), (3.0, 0.0, 0.2)], dtype=torch.float64)  # of each member
PLAIN = TaskConfig(kind="auto", loss="auto", metric="auto", class_weights="none", label_smoothing=0.0)
SHARES = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)


def task(kind: str, loss: str) -> Task:
    classes = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}[kind]
    metric = "rmse" if kind == "regression" else "log_loss"
    return Task(kind=kind, loss=loss, metric=metric, classes=classes, center=0.0, scale=1.0)


def outputs_and_target(n_outputs: int, n_classes: int, *, n_slices: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 20, n_outputs, generator=generator, dtype=torch.float64)
    return outputs, torch.randint(n_classes, (n_slices, 20), generator=generator)


def test_smoothing_is_that_of_torch_for_every_member() -> None:
    outputs, target = outputs_and_target(3, 3)
    losses = member_loss(task("multiclass", "cross_entropy"), outputs, target, smoothing=SHARES)
    for member, share in enumerate(SHARES.tolist()):
        expected = functional.cross_entropy(outputs[member], target[0], label_smoothing=share)
        torch.testing.assert_close(losses[member], expected)


def test_smoothing_of_two_classes_is_that_of_their_softmax() -> None:
    outputs, target = outputs_and_target(1, 2)
    losses = member_loss(task("binary", "cross_entropy"), outputs, target, smoothing=SHARES)
    for member, share in enumerate(SHARES.tolist()):
        both = torch.cat([torch.zeros(20, 1, dtype=torch.float64), outputs[member]], dim=1)
        expected = functional.cross_entropy(both, target[0], label_smoothing=share)
        torch.testing.assert_close(losses[member], expected)


def test_smoothing_of_one_versus_rest_smooths_the_label_of_every_class() -> None:
    outputs, target = outputs_and_target(3, 3)
    losses = member_loss(task("multiclass", "one_versus_rest"), outputs, target, smoothing=SHARES)
    for member, share in enumerate(SHARES.tolist()):
        labels = functional.one_hot(target[0], 3).double() * (1 - share) + share / 3
        expected = functional.binary_cross_entropy_with_logits(outputs[member], labels, reduction="none").sum(1).mean()
        torch.testing.assert_close(losses[member], expected)


@pytest.mark.parametrize("n_slices", [1, 3])
def test_class_weights_are_those_of_torch(n_slices: int) -> None:
    outputs, target = outputs_and_target(3, 3, n_slices=n_slices)
    losses = member_loss(task("multiclass", "cross_entropy"), outputs, target, class_weights=WEIGHTS)
    for member in range(3):
        own = target[member if n_slices == 3 else 0]
        expected = functional.cross_entropy(outputs[member], own, weight=WEIGHTS[member])
        torch.testing.assert_close(losses[member], expected)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    codes = np.array([0] * 7 + [1] * 2 + [2] * 11)
    made = make_task(PLAIN, kind="multiclass", classes=("a", "b", "c"), train_target=codes)
    assert made.balancing == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=codes))


def test_a_class_without_a_row_weighs_nothing() -> None:
    made = make_task(PLAIN, kind="multiclass", classes=("a", "b", "c"), train_target=np.array([0, 2, 2]))
    assert made.balancing == pytest.approx((1.0, 0.0, 0.5))


def test_what_suits_no_class_is_refused() -> None:
    values = task("regression", "mse")
    with pytest.raises(UserError, match="class_weights=balanced belongs to classes"):
        values.learned_by(replace(PLAIN, class_weights="balanced"))
    for own, config in [(values, PLAIN), (task("binary", "hinge"), replace(PLAIN, loss="hinge"))]:
        assert own.learned_by(config) == own
        with pytest.raises(UserError, match=r"label_smoothing=0\.1 belongs to cross entropies"):
            own.learned_by(replace(config, label_smoothing=0.1))


def test_a_task_is_learned_by_the_loss_of_the_trial() -> None:
    own = task("multiclass", "cross_entropy")
    assert own.learned_by(replace(PLAIN, loss="one_versus_rest")) == task("multiclass", "one_versus_rest")
    assert own.learned_by(PLAIN) == own
    with pytest.raises(UserError, match=r"task\.loss=mse does not belong to a multiclass task"):
        own.learned_by(replace(PLAIN, loss="mse"))
