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

    def update_(self, updates: Updates, state: TraceState, weights: Weights) -> None:
        updates.copy_(state.traces.mul_(per_member(self.momentum, updates)).add_(updates))


@dataclass
class DampedTraceState(TraceState):
    """Steps taken, too."""

    step: int


@dataclass(frozen=True)
class AddDampedMomentum:
    """`trace = momentum * trace + (1 - dampening) * update`, the first one undamped, as `SGD(dampening=...)`."""

    momentum: PerMember
    dampening: PerMember

    def init(self, like: Updates) -> DampedTraceState:
        return DampedTraceState(torch.zeros_like(like), step=0)

    def update_(self, updates: Updates, state: DampedTraceState, weights: Weights) -> None:
        share = 1 - self.dampening if state.step else torch.ones_like(self.dampening)
        state.step += 1
        state.traces.mul_(per_member(self.momentum, updates)).add_(updates * per_member(share, updates))
        updates.copy_(state.traces)


@dataclass(frozen=True)
class AddNesterovMomentum:
    """`trace` as above, and `update + momentum * trace` is passed on (Nesterov 1983), as `SGD(nesterov=True)`."""

    momentum: PerMember

    def init(self, like: Updates) -> TraceState:
        return TraceState(torch.zeros_like(like))

    def update_(self, updates: Updates, state: TraceState, weights: Weights) -> None:
        momentum = per_member(self.momentum, updates)
        state.traces.mul_(momentum).add_(updates)
        updates.addcmul_(state.traces, momentum)
