"""Optimizers that divide by a running size of the gradient and have no first moment: Adagrad, RMSprop, Adadelta."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Tensors


@dataclass
class AdagradState:
    """Steps taken and sums of squared gradients."""

    step: int
    sums: list[Tensor]


@dataclass(frozen=True)
class ScaleByAdagrad:
    """Divide by the root of the sum of squares (Duchi et al. 2011), as `torch.optim.Adagrad`.

    `lr_decay` divides by `1 + step * lr_decay` too, the step counted from 0.
    """

    lr_decay: PerMember
    initial_accumulator: PerMember
    eps: PerMember

    def init(self, params: Tensors) -> AdagradState:
        sums = [torch.zeros_like(param) + per_member(self.initial_accumulator, param) for param in params]
        return AdagradState(0, sums)

    def update(self, updates: Tensors, state: AdagradState, params: Tensors) -> Tensors:
        slowdown = 1 + state.step * self.lr_decay
        state.step += 1
        for update, total in zip(updates, state.sums, strict=True):
            total.addcmul_(update, update)
            update.div_((total.sqrt() + per_member(self.eps, total)) * per_member(slowdown, total))
        return updates


@dataclass
class RMSpropState:
    """Running means of squared gradients, and the traces of momentum."""

    mean_squares: list[Tensor]
    traces: list[Tensor]


@dataclass(frozen=True)
class ScaleByRMSprop:
    """Divide by the root of a running mean of squares (Hinton 2012), then momentum, as `torch.optim.RMSprop`."""

    alpha: PerMember
    momentum: PerMember
    eps: PerMember

    def init(self, params: Tensors) -> RMSpropState:
        return RMSpropState(
            [torch.zeros_like(param) for param in params], [torch.zeros_like(param) for param in params]
        )

    def update(self, updates: Tensors, state: RMSpropState, params: Tensors) -> Tensors:
        for update, mean_square, trace in zip(updates, state.mean_squares, state.traces, strict=True):
            alpha = per_member(self.alpha, update)
            mean_square.mul_(alpha).addcmul_(update * (1 - alpha), update)
            update.div_(mean_square.sqrt() + per_member(self.eps, update))
            update.copy_(trace.mul_(per_member(self.momentum, trace)).add_(update))
        return updates


@dataclass
class AdadeltaState:
    """Running means of squared gradients and of squared updates."""

    mean_squares: list[Tensor]
    mean_square_updates: list[Tensor]


@dataclass(frozen=True)
class ScaleByAdadelta:
    """Divide by the root mean square of gradients, multiply by that of past updates (Zeiler 2012, Algorithm 1)."""

    rho: PerMember
    eps: PerMember

    def init(self, params: Tensors) -> AdadeltaState:
        return AdadeltaState(
            [torch.zeros_like(param) for param in params], [torch.zeros_like(param) for param in params]
        )

    def update(self, updates: Tensors, state: AdadeltaState, params: Tensors) -> Tensors:
        for update, mean_square, mean_square_update in zip(
            updates, state.mean_squares, state.mean_square_updates, strict=True
        ):
            rho, eps = per_member(self.rho, update), per_member(self.eps, update)
            mean_square.mul_(rho).addcmul_(update * (1 - rho), update)
            update.mul_((mean_square_update + eps).sqrt_().div_((mean_square + eps).sqrt_()))
            mean_square_update.mul_(rho).addcmul_(update * (1 - rho), update)
        return updates
