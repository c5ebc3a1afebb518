"""The members axis: dimension 0 of every stacked tensor."""

import dataclasses
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

PerMember = Float[Tensor, " members"]
"""One value a member of a stack."""


def per_member(value: Tensor, like: Tensor) -> Tensor:
    """View `(members,)` as `(members, 1, ..., 1)` with the dimensions and the dtype of `like`, ready to broadcast."""
    return value.to(like.dtype).view(-1, *[1] * (like.ndim - 1))


def take_members(value: Any, members: Int[Tensor, " kept"]) -> Any:
    """Keep these members, in this order, of every tensor inside `value`.

    Reaches into dataclasses, lists, tuples and dictionaries; what is not a tensor stays as it is. Every tensor
    inside must have the members axis first.
    """
    if isinstance(value, Tensor):
        return value[members].contiguous()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **take_members(fields, members))
    if isinstance(value, dict):
        return {name: take_members(inner, members) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(take_members(inner, members) for inner in value)
    return value
