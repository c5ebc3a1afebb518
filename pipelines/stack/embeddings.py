"""Layers that turn categories and numbers into vectors, with one set of weights a member."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.stack.layers import StackedLayer, StackedLinear


class StackedEmbedding(StackedLayer):
    """One `nn.Embedding` a member, with the tables of all columns below each other.

    Args:
        n_codes: codes of all columns together.
        width: of a code's vector.
        n_members: size of the stack.
    """

    def __init__(self, n_codes: int, width: int, *, n_members: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(n_members, n_codes, width))

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """As `nn.Embedding`: standard normal."""
        drawn = torch.empty(self.table.shape[1:], dtype=self.table.dtype)
        self.table[member] = drawn.normal_(generator=generator).to(self.table.device)

    def forward(self, codes: Int[Tensor, "streams rows columns"]) -> Float[Tensor, "members rows columns width"]:
        """Look up; `streams` is the number of members, or 1 for rows that all members share."""
        n_members, n_codes, width = self.table.shape
        # One lookup in all members' tables: faster than indexing [K, C, D], and a plain Gather in ONNX.
        first = torch.arange(n_members, device=codes.device) * n_codes
        return nn.functional.embedding(codes + first[:, None, None], self.table.view(n_members * n_codes, width))


class StackedPeriodic(StackedLayer):
    """`sin` and `cos` of every number at learned frequencies (Gorishniy et al. 2022, equation 5).

    Args:
        n_numbers: features, each with frequencies of its own.
        n_frequencies: of each.
        scale: standard deviation of the frequencies at the start.
        n_members: size of the stack.
    """

    def __init__(self, n_numbers: int, n_frequencies: int, *, scale: float, n_members: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.zeros(n_members, n_numbers, n_frequencies))
        self._scale = scale

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Normal around zero with the standard deviation `scale`."""
        drawn = torch.empty(self.frequency.shape[1:], dtype=self.frequency.dtype)
        self.frequency[member] = drawn.normal_(std=self._scale, generator=generator).to(self.frequency.device)

    def forward(self, numbers: Float[Tensor, "streams rows numbers"]) -> Float[Tensor, "members rows numbers waves"]:
        """All sines, then all cosines."""
        angle = 2 * math.pi * numbers[..., None] * self.frequency[:, None]
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class StackedPeriodicEmbedding(nn.Module):
    """Periodic features, one linear layer that all numbers share, ReLU: "PLR(lite)" (Gorishniy et al. 2022).

    Args:
        n_numbers: features.
        n_frequencies: of each.
        scale: standard deviation of the frequencies at the start.
        width: of each number's vector.
        n_members: size of the stack.
    """

    def __init__(self, n_numbers: int, n_frequencies: int, *, scale: float, width: int, n_members: int) -> None:
        super().__init__()
        self.periodic = StackedPeriodic(n_numbers, n_frequencies, scale=scale, n_members=n_members)
        self.linear = StackedLinear(2 * n_frequencies, width, n_members=n_members)
        self.n_features = n_numbers * width

    def forward(self, numbers: Float[Tensor, "streams rows numbers"]) -> Float[Tensor, "members rows features"]:
        """Embed every number and concatenate."""
        periodic = self.periodic(numbers)  # [K, B, F, 2n]
        embedded = torch.relu(self.linear(periodic.flatten(1, 2)))  # [K, B * F, D]
        return embedded.reshape(len(embedded), -1, self.n_features)
