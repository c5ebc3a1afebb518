"""The metrics of each kind of task, one value a member, equal to scikit-learn's.

Predictions keep their own precision up to the first logarithm, difference or sum, which are float64.
Not here: the loss that is minimised (`losses`) and the order of members (`pipelines.selection.scores`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.nn import functional

from pipelines.axes import PerMember
from pipelines.config.schema import METRICS_OF, MetricName, TaskKind
from pipelines.tasks.task import Task

__all__ = ["HIGHER_IS_BETTER", "METRICS_OF", "members_at_once", "score", "score_members"]

HIGHER_IS_BETTER: Mapping[MetricName, bool] = {
    "rmse": False,
    "mae": False,
    "r2": True,
    "log_loss": False,
    "roc_auc": True,
    "average_precision": True,
    "accuracy": True,
    "f1": True,
    "brier": False,
    "macro_f1": True,
}

CHUNK_ELEMENTS = 1 << 22  # 32 MiB in float64; a metric holds a handful of such arrays at a time

Value = TypeVar("Value", float, Tensor)


def score(metric: MetricName, value: Value) -> Value:
    """The metric's value, or its negative, so that greater is better."""
    return value if HIGHER_IS_BETTER[metric] else -value


def sign(metric: MetricName) -> float:
    """1 or -1: the metric's values times this are its scores."""
    return score(metric, 1.0)


def members_at_once(elements: int) -> int:
    """How many members, of so many predicted numbers each, are worked on together to keep memory bounded."""
    return max(1, CHUNK_ELEMENTS // max(1, elements))


def score_members(
    task: Task,
    predictions: Float[Tensor, "members rows predictions"],
    target: Num[Tensor, " rows"],
    metrics: Sequence[MetricName] | None = None,
) -> dict[MetricName, PerMember]:
    """Compute metrics of every member, float64.

    A member that predicts NaN anywhere has NaN for every metric. NaN too, for every member, where the rows leave
    a metric undefined: ROC AUC when a class is absent, average precision without a positive row, R2 of one row.

    Args:
        task: says which metrics there are.
        predictions: values in the target's own unit, or probabilities of the classes.
        target: raw values, or class codes, of the same rows.
        metrics: which of the task's metrics; None for all.
    """
    if predictions.device.type == "mps":  # has no float64
        predictions, target = predictions.cpu(), target.cpu()
    chunks = torch.split(predictions, members_at_once(predictions.shape[1:].numel()))
    broken = torch.cat([chunk.isnan().any(dim=(1, 2)) for chunk in chunks])
    return {
        metric: torch.cat([_METRICS[task.kind, metric](chunk, target) for chunk in chunks]).masked_fill(
            broken, math.nan
        )
        for metric in (METRICS_OF[task.kind] if metrics is None else metrics)
    }


# Each of these maps predictions [K, N, P] and target [N] to [K].


def _errors(predictions: Tensor, target: Tensor) -> Tensor:
    return predictions[..., 0].double() - target.double()


def _rmse(predictions: Tensor, target: Tensor) -> Tensor:
    return _errors(predictions, target).square().mean(dim=1).sqrt()


def _mae(predictions: Tensor, target: Tensor) -> Tensor:
    return _errors(predictions, target).abs().mean(dim=1)


def _r2(predictions: Tensor, target: Tensor) -> Tensor:
    residual = _errors(predictions, target).square().sum(dim=1)
    if len(target) < 2:  # noqa: PLR2004  one row has no spread
        return torch.full_like(residual, math.nan)
    total = (target.double() - target.double().mean()).square().sum()
    if total == 0:  # as scikit-learn: 1 when a constant is predicted exactly, else 0
        return (residual == 0).double()
    return 1 - residual / total


def _log_loss(predictions: Tensor, target: Tensor) -> Tensor:
    of_truth = predictions.gather(2, target.view(1, -1, 1).expand(len(predictions), -1, 1)).squeeze(-1)
    eps = torch.finfo(predictions.dtype).eps  # scikit-learn's: of the precision in which probabilities were given
    return -of_truth.clamp(eps, 1 - eps).double().log().mean(dim=1)


def _binary_roc_auc(predictions: Tensor, target: Tensor) -> Tensor:
    return _roc_auc(predictions[..., 1], target == 1)


def _macro_roc_auc(predictions: Tensor, target: Tensor) -> Tensor:
    classes = range(predictions.shape[-1])
    return torch.stack([_roc_auc(predictions[..., code], target == code) for code in classes]).mean(dim=0)


def _roc_auc(scores: Float[Tensor, "members rows"], is_positive: Tensor) -> Tensor:
    """Share of pairs of a positive and a negative row in the right order, ties counting half (Mann and Whitney)."""
    positives = _sorted(scores[:, is_positive])  # looked up in order they take half the time
    negatives = _sorted(scores[:, ~is_positive])
    below = torch.searchsorted(negatives, positives)
    not_above = torch.searchsorted(negatives, positives, right=True)
    return (below + not_above).sum(dim=1).double() / (2 * positives.shape[1] * negatives.shape[1])


def _sorted(scores: Float[Tensor, "members rows"]) -> Float[Tensor, "members rows"]:
    """Every member's in ascending order. On the CPU by NumPy, which takes a tenth of torch's time."""
    if scores.device.type == "cpu":
        return torch.from_numpy(np.sort(scores.numpy(), axis=1))
    return scores.contiguous().sort(dim=1).values


def _average_precision(predictions: Tensor, target: Tensor) -> Tensor:
    """Mean over the positive rows of the precision at the row's own score, tied rows included."""
    positives = _sorted(predictions[:, target == 1, 1])
    negatives = _sorted(predictions[:, target == 0, 1])
    true_positives = positives.shape[1] - torch.searchsorted(positives, positives)
    false_positives = negatives.shape[1] - torch.searchsorted(negatives, positives)
    return (true_positives.double() / (true_positives + false_positives)).mean(dim=1)


def _accuracy(predictions: Tensor, target: Tensor) -> Tensor:
    return (predictions.argmax(dim=-1) == target).double().mean(dim=1)


def _positive_f1(predictions: Tensor, target: Tensor) -> Tensor:
    doubled_hits, counted = _f1_parts(predictions, target)
    return doubled_hits[:, 1] / counted[:, 1].clamp(min=1)


def _macro_f1(predictions: Tensor, target: Tensor) -> Tensor:
    """As scikit-learn's default: the mean over the classes that occur, in the target or in what is predicted."""
    doubled_hits, counted = _f1_parts(predictions, target)
    return (doubled_hits / counted.clamp(min=1)).sum(dim=1) / (counted > 0).sum(dim=1)


def _f1_parts(predictions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Numerator and denominator of F1 = 2 hits / (rows predicted + rows true), each [K, classes]."""
    classes = predictions.shape[-1]
    predicted = functional.one_hot(predictions.argmax(dim=-1), classes)  # [K, N, C]
    actual = functional.one_hot(target, classes)  # [N, C]
    return 2 * (predicted & actual).sum(dim=1).double(), predicted.sum(dim=1) + actual.sum(dim=0)


def _brier(predictions: Tensor, target: Tensor) -> Tensor:
    return (predictions[..., 1].double() - target).square().mean(dim=1)


_METRICS: Mapping[tuple[TaskKind, MetricName], Callable[[Tensor, Tensor], Tensor]] = {
    ("regression", "rmse"): _rmse,
    ("regression", "mae"): _mae,
    ("regression", "r2"): _r2,
    ("binary", "log_loss"): _log_loss,
    ("binary", "roc_auc"): _binary_roc_auc,
    ("binary", "average_precision"): _average_precision,
    ("binary", "accuracy"): _accuracy,
    ("binary", "f1"): _positive_f1,
    ("binary", "brier"): _brier,
    ("multiclass", "log_loss"): _log_loss,
    ("multiclass", "accuracy"): _accuracy,
    ("multiclass", "macro_f1"): _macro_f1,
    ("multiclass", "roc_auc"): _macro_roc_auc,
}
