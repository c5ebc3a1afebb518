"""Layer normalisation with a scale and a shift a member."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.stack.layers import StackedLayer

EPSILON = 1e-5  # of the variance, as nn.LayerNorm


class StackedLayerNorm(StackedLayer):
    """One `nn.LayerNorm` a member (Ba et al. 2016): every row by its own mean and variance, so no row sees another.

    Args:
        width: of the last axis, which is normalised.
        n_members: size of the stack.
    """

    def __init__(self, width: int, *, n_members: int) -> None:
        super().__init__()
        # Not `weight`: decay would pull it to zero, where a scale's neutral value is one.
        self.scale = nn.Parameter(torch.ones(n_members, width))
        self.bias = nn.Parameter(torch.zeros(n_members, width))

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """As `nn.LayerNorm`: the identity; nothing is drawn."""
        self.scale[member] = 1.0
        self.bias[member] = 0.0

    def forward(self, x: Float[Tensor, "members rows width"]) -> Float[Tensor, "members rows width"]:
        """Normalise the last axis, then scale and shift."""
        normal = nn.functional.layer_norm(x, x.shape[-1:], eps=EPSILON)
        return torch.addcmul(self.bias[:, None, :], normal, self.scale[:, None, :])
