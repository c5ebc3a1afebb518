"""Regularisers: what is added to gradients or updates for the size of the weights themselves.

`decayed` holds one flag a parameter; see `pipelines.stack.roles`.
"""

from dataclasses import dataclass

from torch import Tensor

from pipelines.axes import PerMember, per_member
from pipelines.optim.transform import Tensors


@dataclass(frozen=True)
class AddL1Gradient:
    """Add `strength * sign(param)`: the gradient of `strength * |param|_1`."""

    strength: PerMember
    decayed: tuple[bool, ...]

    def init(self, params: Tensors) -> None:
        return None

    def update(self, updates: Tensors, state: None, params: Tensors) -> Tensors:
        for update, param, decayed in zip(updates, params, self.decayed, strict=True):
            if decayed:
                update.addcmul_(param.sign(), per_member(self.strength, param))
        return updates


@dataclass(frozen=True)
class AddDecayedWeights:
    """Add `strength * param`.

    Before an optimizer's own transform this is L2 (`weight_decay` of `torch.optim.SGD` and `Adam`); after it,
    decoupled weight decay (`torch.optim.AdamW`), which the learning rate multiplies.
    """

    strength: PerMember
    decayed: tuple[bool, ...]

    def init(self, params: Tensors) -> None:
        return None

    def update(self, updates: Tensors, state: None, params: Tensors) -> Tensors:
        for update, param, decayed in zip(updates, params, self.decayed, strict=True):
            if decayed:
                update.addcmul_(param, per_member(self.strength, param))
        return updates


def is_on(strength: Tensor) -> bool:
    """Whether any member uses a regulariser; one that none uses is left out of the chain."""
    return bool((strength != 0).any())
