"""Gradient clipping by norm, each member by its own.

`torch.nn.utils.clip_grad_norm_` over a whole stack would take one norm of all members: one that diverges would
silence its neighbours.
"""

from dataclasses import dataclass

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Updates, Weights

SMALLEST_NORM = 1e-6  # torch's: keeps the division finite


@dataclass(frozen=True)
class ClipByMemberNorm:
    """Scale a member's gradient down to `most` where its norm over all parameters is larger (Pascanu et al. 2013)."""

    most: PerMember  # 0: this member is not clipped

    def init(self, like: Updates) -> None:
        return None

    def update_(self, updates: Updates, state: None, weights: Weights, step: int) -> None:
        norms = updates.square().sum(dim=1).sqrt()  # [K]
        factors = (self.most / (norms + SMALLEST_NORM)).clamp(max=1.0).masked_fill(self.most == 0, 1.0)
        updates.mul_(per_member(factors, updates))
