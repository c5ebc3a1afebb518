"""Gradient descent with memory: the heavy ball and Nesterov's look-ahead."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Tensors


@dataclass
class TraceState:
    """Running sums of the gradients, zero before the first step."""

    traces: list[Tensor]


@dataclass(frozen=True)
class AddMomentum:
    """`trace = momentum * trace + update`, passed on (Polyak 1964), as `torch.optim.SGD(momentum=...)`."""

    momentum: PerMember

    def init(self, params: Tensors) -> TraceState:
        return TraceState([torch.zeros_like(param) for param in params])

    def update(self, updates: Tensors, state: TraceState, params: Tensors) -> Tensors:
        for update, trace in zip(updates, state.traces, strict=True):
            update.copy_(trace.mul_(per_member(self.momentum, trace)).add_(update))
        return updates


@dataclass(frozen=True)
class AddNesterovMomentum:
    """`trace` as above, and `update + momentum * trace` is passed on (Nesterov 1983), as `SGD(nesterov=True)`."""

    momentum: PerMember

    def init(self, params: Tensors) -> TraceState:
        return TraceState([torch.zeros_like(param) for param in params])

    def update(self, updates: Tensors, state: TraceState, params: Tensors) -> Tensors:
        for update, trace in zip(updates, state.traces, strict=True):
            momentum = per_member(self.momentum, trace)
            trace.mul_(momentum).add_(update)
            update.addcmul_(trace, momentum)
        return updates
