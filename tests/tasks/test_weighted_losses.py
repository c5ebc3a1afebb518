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
from pipelines.tasks.task import Task, check_label_smoothing, make_task

WEIGHTS = (0.5, 2.0, 1.25)
SHARES = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)


def task(kind: str, loss: str, *, weights: tuple[float, ...] | None = None) -> Task:
    classes = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}[kind]
    metric = "rmse" if kind == "regression" else "log_loss"
    return Task(kind=kind, loss=loss, metric=metric, classes=classes, center=0.0, scale=1.0, class_weights=weights)


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
    losses = member_loss(task("multiclass", "cross_entropy", weights=WEIGHTS), outputs, target)
    for member in range(3):
        own = target[member if n_slices == 3 else 0]
        expected = functional.cross_entropy(outputs[member], own, weight=torch.tensor(WEIGHTS, dtype=torch.float64))
        torch.testing.assert_close(losses[member], expected)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    codes = np.array([0] * 7 + [1] * 2 + [2] * 11)
    config = TaskConfig(kind="auto", loss="auto", metric="auto", class_weights="balanced", label_smoothing=0.0)
    made = make_task(config, kind="multiclass", classes=("a", "b", "c"), train_target=codes)
    assert made.class_weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=codes))
    plain = make_task(
        replace(config, class_weights="none"), kind="multiclass", classes=("a", "b", "c"), train_target=codes
    )
    assert plain.class_weights is None


def test_what_suits_no_class_is_refused() -> None:
    config = TaskConfig(kind="auto", loss="auto", metric="auto", class_weights="balanced", label_smoothing=0.0)
    with pytest.raises(UserError, match="class_weights=balanced belongs to classes"):
        make_task(config, kind="regression", classes=(), train_target=np.arange(5.0))
    for own in (task("regression", "mse"), task("binary", "hinge")):
        check_label_smoothing(own, 0.0)
        with pytest.raises(UserError, match=r"label_smoothing=0\.1 belongs to cross entropies"):
            check_label_smoothing(own, 0.1)
