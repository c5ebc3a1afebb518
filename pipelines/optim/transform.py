"""The one interface every optimizer step is built from, and `Chain`, which composes them.

Updates start as gradients and end as what is added to the parameters. Constants are one value a member; every
tensor of a transform and of its state has the members axis first, so that `axes.take_members` can drop members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Tensors = Sequence[Tensor]  # one tensor a parameter, every one [members, ...]


@runtime_checkable
class Transform(Protocol):
    """Turns gradients into updates, remembering what it needs between steps."""

    def init(self, params: Tensors) -> Any:
        """Return the state before the first step; None when nothing is remembered."""
        ...

    def update(self, updates: Tensors, state: Any, params: Tensors) -> Tensors:
        """Return the transformed updates; the memory of `updates` and `state` is reused."""
        ...


@dataclass(frozen=True)
class Chain:
    """Apply transforms one after another; the state is the list of their states."""

    transforms: tuple[Transform, ...]

    def init(self, params: Tensors) -> list[Any]:
        """The state of every transform, in order."""
        return [transform.init(params) for transform in self.transforms]

    def update(self, updates: Tensors, state: list[Any], params: Tensors) -> Tensors:
        """Pass the updates through every transform, in order."""
        for transform, own_state in zip(self.transforms, state, strict=True):
            updates = transform.update(updates, own_state, params)
        return updates
