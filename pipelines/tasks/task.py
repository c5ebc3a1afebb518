"""A task: what is predicted, in how many outputs, by which loss, ranked by which metric.

Outputs are what a net computes, [K, B, O]; predictions are what a user reads, [K, B, P]: one value in the
target's own unit, or one probability a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor
from torch.nn import functional

from pipelines.config.schema import LOSSES_OF, METRICS_OF, LossName, MetricName, TaskConfig, TaskKind
from pipelines.errors import UserError

LARGEST_TARGET = 1e37  # predictions are float32, which ends at 3.4e38
SMALLEST_SPREAD = 1e-30  # and begins at 1e-38
SMALLEST_SHARE = 1e-5  # of the mean: float32 rounds to 6e-8 of a value, so to 0.6% of such a spread
Scales = tuple[Tensor, Tensor]


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
        balancing: what the rows of each class would weigh if no class were to count more than another, however rare;
            None for a regression.
        folds: the same task with the scale and the balancing of each fold's training rows; empty without folds.
    """

    kind: TaskKind
    loss: LossName
    metric: MetricName
    classes: tuple[str, ...]
    center: float
    scale: float
    balancing: tuple[float, ...] | None = None
    folds: tuple["Task", ...] = ()

    @property
    def n_outputs(self) -> int:
        """O: outputs of a net."""
        return len(self.classes) if self.kind == "multiclass" else 1

    @property
    def n_predictions(self) -> int:
        """P: 1 for regression, one a class otherwise."""
        return 1 if self.kind == "regression" else len(self.classes)

    def standardise(self, target: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Turn a regression target in its own unit into what the net learns; do it in float64, before any cast."""
        return (target - self.center) / self.scale

    def learned_by(self, config: TaskConfig) -> "Task":
        """The task as a trial learns it: by the loss that its configuration names.

        Raises:
            UserError: its loss, class weights or label smoothing do not belong to this kind of task.
        """
        loss = _loss(config, self.kind)
        if config.class_weights == "balanced" and self.kind == "regression":
            raise UserError("task.class_weights=balanced belongs to classes; the target of this task is a number.")
        if config.label_smoothing and (self.kind == "regression" or loss == "hinge"):
            raise UserError(
                f"task.label_smoothing={config.label_smoothing} belongs to cross entropies; "
                f"this {self.kind} task minimises {loss}."
            )
        return replace(self, loss=loss, folds=tuple(replace(fold, loss=loss) for fold in self.folds))

    def of_fold(self, fold: int) -> "Task":
        """The task as a fold's member learns it; without folds there is one for all."""
        return self.folds[fold] if self.folds else self

    def link(self, outputs: Float[Tensor, "*axes outputs"]) -> Float[Tensor, "*axes predictions"]:
        """Turn the outputs of nets that learned this task into predictions; `link_members` where folds differ.

        Hinge scores and one-versus-rest scores pass through a sigmoid; the latter are then made to sum to one.
        """
        if self.kind == "regression":
            return outputs * self.scale + self.center
        if self.kind == "binary":
            # 1 - sigmoid(x) = sigmoid(-x), which has all its digits where it is small.
            return torch.sigmoid(torch.cat([-outputs, outputs], dim=-1))
        if self.loss == "one_versus_rest":
            # sigmoid(x) = exp(-softplus(-x)); by its logarithm the quotient survives a row that every class refuses
            return torch.softmax(-functional.softplus(-outputs), dim=-1)
        return torch.softmax(outputs, dim=-1)


def member_scales(task: Task, folds: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Scales:
    """Center and scale of each member's target, [K, 1, 1].

    As tensors, also where all members have the same: torch's exporter takes a number below 1e-8 for 0, and would leave
    the mean of a small target out.
    """
    of_members = [task.of_fold(fold) for fold in folds]
    center, scale = (
        torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)
        for values in ([fold.center for fold in of_members], [fold.scale for fold in of_members])
    )
    return center, scale


def link_members(
    task: Task, outputs: Float[Tensor, "members rows outputs"], scales: Scales
) -> Float[Tensor, "members rows predictions"]:
    """As `Task.link`, where members may have learned targets of different scales (`member_scales`)."""
    if task.kind != "regression":
        return task.link(outputs)
    center, scale = scales
    return outputs * scale + center


def make_task(
    config: TaskConfig,
    *,
    kind: TaskKind,
    classes: tuple[str, ...],
    train_target: Num[np.ndarray, " rows"],
    rows_of_folds: Sequence[Int[np.ndarray, " _own"]] = (),
) -> Task:
    """Settle what `auto` means and take the scale of a regression target, or the balancing, from the training part.

    Args:
        config: what the user asked for.
        kind: inferred from the target column, or forced.
        classes: labels in the order of their codes; empty for regression.
        train_target: the training part's raw values or class codes.
        rows_of_folds: what each fold trains on, as places in the training part; none without folds.

    Raises:
        UserError: the loss or the metric does not belong to this kind of task, or a number cannot be predicted in
            float32.
    """
    loss, metric = _loss(config, kind), ranking_metric(config, kind)

    def learned_from(target: Num[np.ndarray, " own"]) -> Task:
        center, scale = _center_and_scale(target) if kind == "regression" else (0.0, 1.0)
        balancing = None if kind == "regression" else _balanced(target, len(classes))
        return Task(kind, loss, metric, classes, center, scale, balancing)

    folds = tuple(learned_from(train_target[rows]) for rows in rows_of_folds)
    return replace(learned_from(train_target), folds=folds)


def ranking_metric(config: TaskConfig, kind: TaskKind) -> MetricName:
    """The metric that a trial of this configuration is ranked by.

    Raises:
        UserError: the metric or the loss does not belong to this kind of task.
    """
    _check_allowed("metric", config.metric, METRICS_OF[kind], kind=kind, config=config)
    return _default_metric(kind, _loss(config, kind)) if config.metric == "auto" else config.metric


def _loss(config: TaskConfig, kind: TaskKind) -> LossName:
    _check_allowed("loss", config.loss, LOSSES_OF[kind], kind=kind, config=config)
    return LOSSES_OF[kind][0] if config.loss == "auto" else config.loss


def _balanced(codes: Num[np.ndarray, " rows"], n_classes: int) -> tuple[float, ...]:
    """`rows / (classes * rows of the class)`, as scikit-learn's `class_weight="balanced"` (King and Zeng 2001)."""
    counts = np.bincount(codes, minlength=n_classes)
    weights = np.zeros(n_classes)  # of a class without a row, which none reads
    np.divide(len(codes), n_classes * counts, out=weights, where=counts > 0)
    return tuple(weights.tolist())


def _check_allowed(field: str, asked: str, allowed: Sequence[str], *, kind: TaskKind, config: TaskConfig) -> None:
    if asked in ("auto", *allowed):
        return
    inferred = " The task was inferred from the target; force another with `task=`." if config.kind == "auto" else ""
    raise UserError(
        f"task.{field}={asked} does not belong to a {kind} task. Allowed: auto, {', '.join(allowed)}.{inferred}"
    )


def _default_metric(kind: TaskKind, loss: LossName) -> MetricName:
    """Hinge scores order the rows but are no probabilities, so log loss would punish what was never learned."""
    return "roc_auc" if loss == "hinge" else METRICS_OF[kind][0]


def _center_and_scale(values: Num[np.ndarray, " rows"]) -> tuple[float, float]:
    least, most = float(values.min()), float(values.max())
    if max(-least, most) > LARGEST_TARGET:
        raise UserError(
            f"The target goes from {least:.6g} to {most:.6g}, and predictions are float32: none lies beyond "
            f"{LARGEST_TARGET:g}. Change its unit."
        )
    center = float(values.mean(dtype=np.float64))
    if least == most:  # a rounding error in the deviation of equal values must not become the scale
        return center, 1.0
    scale = float(values.std(dtype=np.float64))
    if scale < max(SMALLEST_SHARE * abs(center), SMALLEST_SPREAD):
        raise UserError(
            f"The target goes from {least:.10g} to {most:.10g}, and predictions are float32, which has no digits left "
            f"for a spread of {scale:.3g} around {center:.6g}. Subtract a constant from it, as its mean, or change its "
            "unit."
        )
    return center, scale
