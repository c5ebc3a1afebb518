"""What members score on held-out rows, and their order: best first, with a settled place for ties and failures.

Scores are greater is better (`pipelines.tasks.metrics.score`).
"""

import math
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
    return {name: torch.stack([own[name] for own in scored]).mean(dim=0) for name in scored[0]}


def tie_break_metric(task: Task) -> MetricName:
    """The metric that parts members which the task's own cannot: many nets reach the same ROC AUC or accuracy."""
    return "rmse" if task.kind == "regression" else "log_loss"


def rank_members(scores: Sequence[float | None], *, tie_breaks: Sequence[float | None] | None = None) -> list[int]:
    """Members from best to worst; failures (None or NaN) last, equals in their given order.

    Args:
        scores: one a member, greater is better.
        tie_breaks: one a member, greater is better, looked at between equal scores only.
    """
    seconds = [None] * len(scores) if tie_breaks is None else tie_breaks
    keys = [(_descending(first), _descending(second)) for first, second in zip(scores, seconds, strict=True)]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _descending(score: float | None) -> tuple[bool, float]:
    """A key that sorts greater scores first and a failure behind even minus infinity."""
    failed = score is None or math.isnan(score)
    return (True, 0.0) if failed or score is None else (False, -score)
