"""Regularisers: what is added to gradients or updates for the size of the weights themselves.

They act on the first columns alone; `pipelines.stack.roles` says which parameters those are.
"""

from dataclasses import dataclass

from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Updates, Weights


@dataclass(frozen=True)
class AddL1Gradient:
    """Add `strength * sign(weight)`: the gradient of `strength * |weight|_1`."""

    strength: PerMember

    def init(self, like: Updates) -> None:
        return None

    def update_(self, updates: Updates, state: None, weights: Weights, step: int) -> None:
        updates[:, : weights.shape[1]].addcmul_(weights.sign(), per_member(self.strength, weights))


@dataclass(frozen=True)
class AddDecayedWeights:
    """Add `strength * weight`.

    Before an optimizer's own transform this is L2 (`weight_decay` of `torch.optim.SGD` and `Adam`); after it,
    decoupled weight decay (`torch.optim.AdamW`), which the learning rate multiplies.
    """

    strength: PerMember

    def init(self, like: Updates) -> None:
        return None

    def update_(self, updates: Updates, state: None, weights: Weights, step: int) -> None:
        updates[:, : weights.shape[1]].addcmul_(weights, per_member(self.strength, weights))


def is_on(strength: Tensor) -> bool:
    """Whether any member uses a regulariser; one that none uses is left out of the chain."""
    return bool((strength != 0).any())
