"""The one interface every optimizer step is built from, and `Chain`, which composes them.

All parameters of a stack are one matrix [K, P] here, those that regularisers act on in its first columns: a step is
a handful of operations, however many layers a net has. Updates start as gradients and end as what is multiplied by the
learning rate and subtracted from the parameters. Constants are one value a member; every tensor of a transform and of
its state has the members axis first, so that `axes.take_members` can drop members.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Updates = Float[Tensor, "members parameters"]
Weights = Float[Tensor, "members decayed"]


@runtime_checkable
class Transform(Protocol):
    """Turns gradients into updates, remembering what it needs between steps."""

    def init(self, like: Updates) -> Any:
        """Return the state before the first step, of the shape of updates; None when nothing is remembered."""
        ...

    def update_(self, updates: Updates, state: Any, weights: Weights, step: int) -> None:
        """Transform the updates, and what is remembered, in place.

        Args:
            updates: of all parameters.
            state: as `init` began it.
            weights: the parameters that regularisers act on; the first columns of `updates` are theirs.
            step: how many were taken before.
        """
        ...


@dataclass(frozen=True)
class Chain:
    """Apply transforms one after another; the state is the list of their states."""

    transforms: tuple[Transform, ...]

    def init(self, like: Updates) -> list[Any]:
        """The state of every transform, in order."""
        return [transform.init(like) for transform in self.transforms]

    def update_(self, updates: Updates, state: list[Any], weights: Weights, step: int) -> None:
        """Pass the updates through every transform, in order."""
        for transform, own_state in zip(self.transforms, state, strict=True):
            transform.update_(updates, own_state, weights, step)
