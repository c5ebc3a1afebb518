"""Adam, with its own constants for every member."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Tensors


@dataclass
class AdamState:
    """Steps taken and running moments of the gradients."""

    step: int
    first_moments: list[Tensor]
    second_moments: list[Tensor]


@dataclass(frozen=True)
class ScaleByAdam:
    """Divide the running mean by the root of the running mean of squares (Kingma and Ba 2015, Algorithm 1)."""

    beta1: PerMember
    beta2: PerMember
    eps: PerMember

    def init(self, params: Tensors) -> AdamState:
        return AdamState(
            0, [torch.zeros_like(param) for param in params], [torch.zeros_like(param) for param in params]
        )

    def update(self, updates: Tensors, state: AdamState, params: Tensors) -> Tensors:
        state.step += 1
        # In float64 as the constants are: 1 - 0.999 loses four digits in float32.
        correction1 = 1 - self.beta1**state.step
        root_correction2 = (1 - self.beta2**state.step).sqrt()
        # Both corrections and eps in one product and sum a weight, not in a pass over all weights each.
        constants = (1 - self.beta1, 1 - self.beta2, correction1 / root_correction2, correction1 * self.eps)
        new1, new2, scale, floor = torch.stack(constants).to(updates[0].dtype)
        for update, first, second in zip(updates, state.first_moments, state.second_moments, strict=True):
            first.lerp_(update, per_member(new1, update).expand_as(update))
            scratch = update.square()
            second.lerp_(scratch, per_member(new2, update).expand_as(update))
            torch.sqrt(second, out=scratch).mul_(per_member(scale, update)).add_(per_member(floor, update))
            torch.div(first, scratch, out=update)
        return updates
