"""Adam, with its own constants for every member."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.ahead import StepsAhead
from pipelines.optim.transform import Updates, Weights


@dataclass
class AdamState:
    """Running moments of the gradients."""

    first_moments: Tensor
    second_moments: Tensor


@dataclass(frozen=True)
class ScaleByAdam:
    """Divide the running mean by the root of the running mean of squares (Kingma and Ba 2015, Algorithm 1)."""

    beta1: PerMember
    beta2: PerMember
    eps: PerMember

    def init(self, like: Updates) -> AdamState:
        return AdamState(torch.zeros_like(like), torch.zeros_like(like))

    def update_(self, updates: Updates, state: AdamState, weights: Weights, step: int) -> None:
        new1, new2, scale, floor = self._constants.at(step + 1).to(updates.dtype).unbind()  # [K, 1] each
        state.first_moments.lerp_(updates, new1.expand_as(updates))
        scratch = updates.square()
        state.second_moments.lerp_(scratch, new2.expand_as(updates))
        torch.sqrt(self._divided_by(state), out=scratch).mul_(scale).add_(floor)
        torch.div(state.first_moments, scratch, out=updates)

    def _divided_by(self, state: Any) -> Tensor:
        """The second moments whose root is divided by."""
        moments: Tensor = state.second_moments
        return moments

    @cached_property
    def _constants(self) -> StepsAhead:
        return StepsAhead(self._of_steps)

    def _of_steps(self, first_step: int, n_steps: int) -> Float[Tensor, "steps 4 members 1"]:
        """Shares of what is new in both moments, and both corrections and eps in one product and sum a weight.

        In float64 as the betas are: 1 - 0.999 loses four digits in float32.
        """
        steps = torch.arange(first_step, first_step + n_steps, dtype=self.beta1.dtype, device=self.beta1.device)
        correction1 = 1 - self.beta1 ** steps[:, None]  # [steps, K]
        root_correction2 = (1 - self.beta2 ** steps[:, None]).sqrt()
        shares = [(1 - beta).expand_as(correction1) for beta in (self.beta1, self.beta2)]
        return torch.stack([*shares, correction1 / root_correction2, correction1 * self.eps], dim=1).unsqueeze(-1)


@dataclass
class AMSGradState(AdamState):
    """The largest second moments so far, too."""

    largest_moments: Tensor


@dataclass(frozen=True)
class ScaleByAMSGrad(ScaleByAdam):
    """As `ScaleByAdam`; where `amsgrad` is 1, by the largest mean of squares so far (Reddi et al. 2018)."""

    amsgrad: PerMember

    def init(self, like: Updates) -> AMSGradState:
        return AMSGradState(torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like))

    def _divided_by(self, state: Any) -> Tensor:  # as `init` made it
        torch.maximum(state.largest_moments, state.second_moments, out=state.largest_moments)
        is_largest = per_member(self.amsgrad, state.second_moments) > 0
        return torch.where(is_largest, state.largest_moments, state.second_moments)
