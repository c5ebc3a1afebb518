"""What training minimises: one loss a member, the mean over its rows and never over members.

Not here: how members are summed for autograd (`training`), and the metrics that rank them (`metrics`).
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.nn import functional

from pipelines.axes import PerMember, per_member
from pipelines.config.schema import LossName, TaskKind
from pipelines.tasks.task import Task


def member_loss(
    task: Task,
    outputs: Float[Tensor, "members batch outputs"],
    target: Num[Tensor, "#members batch"],
    *,
    smoothing: PerMember | None = None,
    class_weights: Float[Tensor, "members classes"] | None = None,
    counted: Float[Tensor, "#members batch"] | None = None,
) -> PerMember:
    """Loss of every member, in float32 at least: the mean over its rows, weighted by class where it is told to.

    Args:
        task: says which loss.
        outputs: of the nets, before the link.
        target: standardised (`Task.standardise`) for regression, int64 class codes otherwise; one slice for all
            members or one a member.
        smoothing: share of a label that is spread evenly over all classes (Szegedy et al. 2016), one a member;
            of cross entropies alone. With class weights too, a row counts by its own class; torch weighs the part
            that is spread class by class.
        class_weights: what a row of each class weighs in the mean; None when all rows count alike.
        counted: 1 for rows that count, 0 for those that only fill a member's batch up; None when all count.
    """
    if outputs.dtype in (torch.bfloat16, torch.float16):
        outputs = outputs.float()
    losses = _ROW_LOSSES[task.kind, task.loss](outputs, target)
    if smoothing is not None:
        losses = _smoothed(task, losses, outputs, smoothing)
    weights = None
    if class_weights is not None:
        weights = class_weights.to(losses.dtype).gather(1, target.expand(len(losses), -1))  # [K, B]
    if counted is not None:
        weights = counted.to(losses.dtype) if weights is None else weights * counted.to(losses.dtype)
    if weights is None:
        return losses.mean(dim=1)
    return (losses * weights).sum(dim=1) / weights.sum(dim=1)


def _smoothed(task: Task, losses: Tensor, outputs: Tensor, smoothing: PerMember) -> Tensor:
    """Cross entropy is linear in the label: a mean of the loss of the label and of that of all classes alike."""
    of_any = _LOSSES_OF_ANY_CLASS[task.kind, task.loss](outputs)
    share = per_member(smoothing, of_any)
    return (1 - share) * losses + share * of_any


# Each of these maps outputs [K, B, O] and target [1 or K, B] to losses of rows [K, B].


def _squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs.squeeze(-1) - target.to(outputs.dtype)).square()


def _absolute_error(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs.squeeze(-1) - target.to(outputs.dtype)).abs()


def _huber(outputs: Tensor, target: Tensor) -> Tensor:
    """Huber (1964) with delta 1: one standard deviation of the training target."""
    values = outputs.squeeze(-1)
    return functional.huber_loss(values, target.to(values.dtype).expand_as(values), reduction="none", delta=1.0)


def _binary_cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    logits = outputs.squeeze(-1)
    return functional.binary_cross_entropy_with_logits(
        logits, target.to(logits.dtype).expand_as(logits), reduction="none"
    )


def _hinge(outputs: Tensor, target: Tensor) -> Tensor:
    signs = 2 * target - 1
    return torch.relu(1 - signs * outputs.squeeze(-1))


def _softmax_cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    """Log of the sum over classes of exp(output - output of the true class).

    Differences keep it exact for large outputs; on a CPU it takes a third of `functional.cross_entropy` at 10 classes.
    """
    true_class = target.expand(outputs.shape[:2]).unsqueeze(-1)  # [K, B, 1]
    return torch.logsumexp(outputs - outputs.gather(2, true_class), dim=-1)


def _one_versus_rest(outputs: Tensor, target: Tensor) -> Tensor:
    """Sum over classes of the binary cross entropy of "this class" against "any other"."""
    is_class = functional.one_hot(target, outputs.shape[-1]).to(outputs.dtype)  # [1 or K, B, O]
    losses = functional.binary_cross_entropy_with_logits(outputs, is_class.expand_as(outputs), reduction="none")
    return losses.sum(dim=-1)


_ROW_LOSSES: Mapping[tuple[TaskKind, LossName], Callable[[Tensor, Tensor], Tensor]] = {
    ("regression", "mse"): _squared_error,
    ("regression", "mae"): _absolute_error,
    ("regression", "huber"): _huber,
    ("binary", "cross_entropy"): _binary_cross_entropy,
    ("binary", "hinge"): _hinge,
    ("multiclass", "cross_entropy"): _softmax_cross_entropy,
    ("multiclass", "one_versus_rest"): _one_versus_rest,
}

# The mean over all classes of each loss that a label is part of: outputs [K, B, O] to [K, B].
_LOSSES_OF_ANY_CLASS: Mapping[tuple[TaskKind, LossName], Callable[[Tensor], Tensor]] = {
    ("binary", "cross_entropy"): lambda outputs: (functional.softplus(outputs) - outputs / 2).squeeze(-1),
    ("multiclass", "cross_entropy"): lambda outputs: torch.logsumexp(outputs, dim=-1) - outputs.mean(dim=-1),
    ("multiclass", "one_versus_rest"): lambda outputs: functional.softplus(outputs).sum(dim=-1) - outputs.mean(dim=-1),
}
