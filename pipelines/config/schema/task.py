"""What is predicted, by which loss, and what ranks trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Group, Rate, per_member

TaskKind = Literal["regression", "binary", "multiclass"]
LossName = Literal["mse", "mae", "huber", "cross_entropy", "hinge", "one_versus_rest"]
MetricName = Literal[
    "rmse", "mae", "r2", "log_loss", "roc_auc", "average_precision", "accuracy", "f1", "brier", "macro_f1"
]

# The first of each is what `auto` means, save for the metric under hinge, whose scores are no probabilities.
LOSSES_OF: Mapping[TaskKind, tuple[LossName, ...]] = {
    "regression": ("mse", "mae", "huber"),
    "binary": ("cross_entropy", "hinge"),
    "multiclass": ("cross_entropy", "one_versus_rest"),
}
METRICS_OF: Mapping[TaskKind, tuple[MetricName, ...]] = {
    "regression": ("rmse", "mae", "r2"),
    "binary": ("log_loss", "roc_auc", "average_precision", "accuracy", "f1", "brier"),
    "multiclass": ("log_loss", "accuracy", "macro_f1", "roc_auc"),
}


@dataclass(frozen=True, kw_only=True)
class TaskConfig(Group):
    """What is predicted, the loss that is minimised and the metric that ranks trials."""

    kind: TaskKind | Literal["auto"]
    loss: LossName | Literal["auto"]
    metric: MetricName | Literal["auto"]
    # balanced: a class counts as much as any other, however rare
    class_weights: Literal["none", "balanced"] = per_member()
    label_smoothing: Rate = per_member()  # share of a label that is spread over all classes
