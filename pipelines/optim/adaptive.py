"""Optimizers that divide by a running size of the gradient and have no first moment: Adagrad, RMSprop, Adadelta."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Updates, Weights


@dataclass
class AdagradState:
    """Sums of squared gradients."""

    sums: Tensor


@dataclass(frozen=True)
class ScaleByAdagrad:
    """Divide by the root of the sum of squares (Duchi et al. 2011), as `torch.optim.Adagrad`.

    `lr_decay` divides by `1 + step * lr_decay` too, the step counted from 0.
    """

    lr_decay: PerMember
    initial_accumulator: PerMember
    eps: PerMember

    def init(self, like: Updates) -> AdagradState:
        return AdagradState(torch.zeros_like(like) + per_member(self.initial_accumulator, like))

    def update_(self, updates: Updates, state: AdagradState, weights: Weights, step: int) -> None:
        slowdown = 1 + step * self.lr_decay
        state.sums.addcmul_(updates, updates)
        updates.div_((state.sums.sqrt() + per_member(self.eps, updates)) * per_member(slowdown, updates))


@dataclass
class RMSpropState:
    """Running means of squared gradients, and the traces of momentum."""

    mean_squares: Tensor
    traces: Tensor


@dataclass(frozen=True)
class ScaleByRMSprop:
    """Divide by the root of a running mean of squares (Hinton 2012), then momentum, as `torch.optim.RMSprop`."""

    alpha: PerMember
    momentum: PerMember
    eps: PerMember

    def init(self, like: Updates) -> RMSpropState:
        return RMSpropState(torch.zeros_like(like), torch.zeros_like(like))

    def update_(self, updates: Updates, state: RMSpropState, weights: Weights, step: int) -> None:
        updates.div_(self._squares(updates, state).sqrt() + per_member(self.eps, updates))
        updates.copy_(state.traces.mul_(per_member(self.momentum, updates)).add_(updates))

    def _squares(self, updates: Updates, state: Any) -> Tensor:
        """Take the updates in, and return the squares whose root is divided by."""
        alpha = per_member(self.alpha, updates)
        squares: Tensor = state.mean_squares.mul_(alpha).addcmul_(updates * (1 - alpha), updates)
        return squares


@dataclass
class CenteredRMSpropState(RMSpropState):
    """Running means of gradients, too."""

    means: Tensor


@dataclass(frozen=True)
class ScaleByCenteredRMSprop(ScaleByRMSprop):
    """As `ScaleByRMSprop`; where `centered` is 1, by a running standard deviation (Graves 2013), as torch's own."""

    centered: PerMember

    def init(self, like: Updates) -> CenteredRMSpropState:
        return CenteredRMSpropState(torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like))

    def _squares(self, updates: Updates, state: Any) -> Tensor:  # as `init` made it
        state.means.lerp_(updates, (1 - per_member(self.alpha, updates)).expand_as(updates))
        centers: Tensor = per_member(self.centered, updates) * state.means.square()
        return super()._squares(updates, state) - centers


@dataclass
class AdadeltaState:
    """Running means of squared gradients and of squared updates."""

    mean_squares: Tensor
    mean_square_updates: Tensor


@dataclass(frozen=True)
class ScaleByAdadelta:
    """Divide by the root mean square of gradients, multiply by that of past updates (Zeiler 2012, Algorithm 1)."""

    rho: PerMember
    eps: PerMember

    def init(self, like: Updates) -> AdadeltaState:
        return AdadeltaState(torch.zeros_like(like), torch.zeros_like(like))

    def update_(self, updates: Updates, state: AdadeltaState, weights: Weights, step: int) -> None:
        rho, eps = per_member(self.rho, updates), per_member(self.eps, updates)
        state.mean_squares.mul_(rho).addcmul_(updates * (1 - rho), updates)
        updates.mul_((state.mean_square_updates + eps).sqrt_().div_((state.mean_squares + eps).sqrt_()))
        state.mean_square_updates.mul_(rho).addcmul_(updates * (1 - rho), updates)
