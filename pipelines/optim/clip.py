"""Gradient clipping by norm, each member by its own.

`torch.nn.utils.clip_grad_norm_` over a whole stack would take one norm of all members: one that diverges would
silence its neighbours.
"""

from dataclasses import dataclass

import torch

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Tensors

SMALLEST_NORM = 1e-6  # torch's: keeps the division finite


@dataclass(frozen=True)
class ClipByMemberNorm:
    """Scale a member's gradient down to `most` where its norm over all parameters is larger (Pascanu et al. 2013)."""

    most: PerMember  # 0: this member is not clipped

    def init(self, params: Tensors) -> None:
        return None

    def update(self, updates: Tensors, state: None, params: Tensors) -> Tensors:
        squares = [update.flatten(1).square().sum(dim=1) for update in updates]
        norms = torch.stack(squares).sum(dim=0).sqrt()  # [K]
        factors = (self.most / (norms + SMALLEST_NORM)).clamp(max=1.0).masked_fill(self.most == 0, 1.0)
        for update in updates:
            update.mul_(per_member(factors, update))
        return updates
