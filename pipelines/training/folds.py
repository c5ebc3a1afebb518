"""Which fold each member of a stack is of, and what follows from it: the scale of its target, and its class weights.

Without folds all members are of fold 0. Not here: which rows a fold reads (`batches`, `held_out`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from pipelines.axes import PerMember, take_members
from pipelines.tasks.losses import member_loss
from pipelines.tasks.task import Task, link_members, member_scales


class MemberFolds:
    """Of the members that are in a stack now.

    Args:
        of_member: fold of each member.
        is_balanced: whether classes count alike in a member's loss, however rare.
        task: what is predicted.
        dtype: of the net.
        device: of the stack.

    Attributes:
        places: fold of each member.
        class_weights: of each member, [K, C]; None where all rows of all members count alike.
    """

    def __init__(
        self,
        of_member: Sequence[int],
        is_balanced: Sequence[bool],
        *,
        task: Task,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.places = list(of_member)
        self._task = task
        self._scales = member_scales(task, of_member, dtype=dtype, device=device)
        self.class_weights: Float[Tensor, "members classes"] | None = None
        if any(is_balanced):
            alike = (1.0,) * len(task.classes)
            weights = [
                task.of_fold(fold).balancing if balanced else alike
                for fold, balanced in zip(of_member, is_balanced, strict=True)
            ]
            self.class_weights = torch.tensor(weights, dtype=dtype, device=device)

    def link(self, outputs: Float[Tensor, "members rows outputs"]) -> Float[Tensor, "members rows predictions"]:
        """Outputs to predictions, each member's in the scale that it learned."""
        return link_members(self._task, outputs, self._scales)

    def loss(
        self,
        outputs: Float[Tensor, "members rows outputs"],
        target: Num[Tensor, "#members rows"],
        *,
        smoothing: PerMember | None = None,
        counted: Float[Tensor, "#members rows"] | None = None,
    ) -> PerMember:
        """As `member_loss`, with each member's class weights."""
        return member_loss(
            self._task, outputs, target, smoothing=smoothing, class_weights=self.class_weights, counted=counted
        )

    def take_(self, members: Int[Tensor, " kept"]) -> None:
        """Keep these members, in this order."""
        self.places = [self.places[member] for member in members.tolist()]
        self._scales = take_members(self._scales, members)
        self.class_weights = take_members(self.class_weights, members)
