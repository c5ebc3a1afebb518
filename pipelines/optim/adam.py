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
        for update, first, second in zip(updates, state.first_moments, state.second_moments, strict=True):
            beta1, beta2, eps = (per_member(value, update) for value in (self.beta1, self.beta2, self.eps))
            first.lerp_(update, (1 - beta1).expand_as(update))
            second.mul_(beta2).addcmul_(update * (1 - beta2), update)
            denominator = second.sqrt().div_(per_member(root_correction2, update)).add_(eps)
            torch.div(first, denominator.mul_(per_member(correction1, update)), out=update)
        return updates
