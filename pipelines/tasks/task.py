"""A task: what is predicted, in how many outputs, by which loss, ranked by which metric.

Outputs are what a net computes, [K, B, O]; predictions are what a user reads, [K, B, P]: one value in the
target's own unit, or one probability a class.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.config.schema import LossName, MetricName, TaskKind


@dataclass(frozen=True)
class Task:
    """Everything about the target that training, selection and export need.

    Attributes:
        kind: regression, binary or multiclass.
        loss: minimised in training.
        metric: ranks trials on the validation part.
        classes: labels in the order of their codes; empty for regression.
        center: mean of the training target; the net learns `(target - center) / scale`. 0 for classes.
        scale: standard deviation of the training target; 1 for classes.
    """

    kind: TaskKind
    loss: LossName
    metric: MetricName
    classes: tuple[str, ...]
    center: float
    scale: float

    @property
    def n_outputs(self) -> int:
        """O: outputs of a net."""
        return len(self.classes) if self.kind == "multiclass" else 1

    @property
    def n_predictions(self) -> int:
        """P: 1 for regression, one a class otherwise."""
        return 1 if self.kind == "regression" else len(self.classes)

    def link(self, outputs: Float[Tensor, "*axes outputs"]) -> Float[Tensor, "*axes predictions"]:
        """Turn a net's outputs into predictions.

        Hinge scores and one-versus-rest scores pass through a sigmoid; the latter are then made to sum to one.
        """
        if self.kind == "regression":
            return outputs * self.scale + self.center
        if self.kind == "binary":
            positive = torch.sigmoid(outputs)
            return torch.cat([1 - positive, positive], dim=-1)
        if self.loss == "one_versus_rest":
            scores = torch.sigmoid(outputs)
            return scores / scores.sum(dim=-1, keepdim=True)
        return torch.softmax(outputs, dim=-1)
