"""What members score on held-out rows, which may be divided into folds, and what parts those that score alike."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from pipelines.axes import PerMember
from pipelines.config.schema import MetricName
from pipelines.tasks.metrics import score_members
from pipelines.tasks.task import Task

Parts = Sequence[Int[Tensor, " _part"]]


def score_parts(
    task: Task,
    predictions: Float[Tensor, "members rows predictions"],
    target: Num[Tensor, " rows"],
    parts: Parts,
    metrics: Sequence[MetricName] | None = None,
) -> dict[MetricName, PerMember]:
    """As `score_members`, of each part of the rows by itself, and the mean over parts.

    Args:
        task: says which metrics there are.
        predictions: on all rows.
        target: of all rows.
        parts: places of the rows that each fold holds out; none to score all rows at once.
        metrics: which of the task's metrics; None for all.
    """
    if not parts:
        return score_members(task, predictions, target, metrics)
    scored = [score_members(task, predictions[:, part], target[part], metrics) for part in parts]
    return {name: torch.stack([of_part[name] for of_part in scored]).mean(dim=0) for name in scored[0]}


def tie_break_metric(task: Task) -> MetricName:
    """The metric that parts members which the task's own cannot: many nets reach the same ROC AUC or accuracy."""
    return "rmse" if task.kind == "regression" else "log_loss"
