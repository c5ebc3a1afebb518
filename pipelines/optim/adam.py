"""Adam, with its own constants for every member."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.axes import PerMember
from pipelines.optim.transform import Updates, Weights


@dataclass
class AdamState:
    """Steps taken and running moments of the gradients."""

    step: int
    first_moments: Tensor
    second_moments: Tensor


@dataclass(frozen=True)
class ScaleByAdam:
    """Divide the running mean by the root of the running mean of squares (Kingma and Ba 2015, Algorithm 1)."""

    beta1: PerMember
    beta2: PerMember
    eps: PerMember

    def init(self, like: Updates) -> AdamState:
        return AdamState(0, torch.zeros_like(like), torch.zeros_like(like))

    def update_(self, updates: Updates, state: AdamState, weights: Weights) -> None:
        state.step += 1
        # In float64 as the constants are: 1 - 0.999 loses four digits in float32.
        correction1 = 1 - self.beta1**state.step
        root_correction2 = (1 - self.beta2**state.step).sqrt()
        # Both corrections and eps in one product and sum a weight, not in a pass over all weights each.
        constants = (1 - self.beta1, 1 - self.beta2, correction1 / root_correction2, correction1 * self.eps)
        new1, new2, scale, floor = torch.stack(constants).to(updates.dtype).unsqueeze(-1)  # [4, K, 1]
        state.first_moments.lerp_(updates, new1.expand_as(updates))
        scratch = updates.square()
        state.second_moments.lerp_(scratch, new2.expand_as(updates))
        torch.sqrt(state.second_moments, out=scratch).mul_(scale).add_(floor)
        torch.div(state.first_moments, scratch, out=updates)
