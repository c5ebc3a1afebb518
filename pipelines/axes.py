"""The members axis: dimension 0 of every stacked tensor."""

from jaxtyping import Float
from torch import Tensor

PerMember = Float[Tensor, " members"]
"""One value a member of a stack."""


def per_member(value: Tensor, like: Tensor) -> Tensor:
    """View `(members,)` as `(members, 1, ..., 1)` with as many dimensions as `like`, ready to broadcast."""
    return value.view(-1, *[1] * (like.ndim - 1))
