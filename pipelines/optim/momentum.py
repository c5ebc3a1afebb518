"""Gradient descent with memory: the heavy ball and Nesterov's look-ahead."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Updates, Weights


@dataclass
class TraceState:
    """Running sums of the gradients, zero before the first step."""

    traces: Tensor


@dataclass(frozen=True)
class AddMomentum:
    """`trace = momentum * trace + update`, passed on (Polyak 1964), as `torch.optim.SGD(momentum=...)`."""

    momentum: PerMember

    def init(self, like: Updates) -> TraceState:
        return TraceState(torch.zeros_like(like))

    def update_(self, updates: Updates, state: TraceState, weights: Weights, step: int) -> None:
        updates.copy_(state.traces.mul_(per_member(self.momentum, updates)).add_(updates))


@dataclass(frozen=True)
class Dampen:
    """`(1 - dampening) * update` is passed on, the first one whole: before `AddMomentum`, as `SGD(dampening=...)`."""

    dampening: PerMember

    def init(self, like: Updates) -> None:
        return None

    def update_(self, updates: Updates, state: None, weights: Weights, step: int) -> None:
        if step:
            updates.mul_(per_member(1 - self.dampening, updates))


@dataclass(frozen=True)
class AddNesterovMomentum:
    """`trace` as above, and `update + momentum * trace` is passed on (Nesterov 1983), as `SGD(nesterov=True)`."""

    momentum: PerMember

    def init(self, like: Updates) -> TraceState:
        return TraceState(torch.zeros_like(like))

    def update_(self, updates: Updates, state: TraceState, weights: Weights, step: int) -> None:
        momentum = per_member(self.momentum, updates)
        state.traces.mul_(momentum).add_(updates)
        updates.addcmul_(state.traces, momentum)
