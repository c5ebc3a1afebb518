"""Layers that turn categories and numbers into vectors, with one set of weights a member."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from pipelines.stack.layers import StackedLayer, StackedLinear


class StackedEmbedding(StackedLayer):
    """One `nn.Embedding` a member, with the tables of all columns below each other.

    Args:
        n_codes: codes of all columns together.
        width: of a code's vector.
        n_members: size of the stack.
        own_codes: of each member, those that its training rows hold; nobody would train a vector of any other, so
            those are zeros.
    """

    def __init__(
        self, n_codes: int, width: int, *, n_members: int, own_codes: Sequence[Int64[np.ndarray, " _own"]]
    ) -> None:
        super().__init__()
        self._own_codes = own_codes  # of the members at the start: nobody draws later
        self.table = nn.Parameter(torch.zeros(n_members, n_codes, width))

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """As `nn.Embedding`: standard normal."""
        width = self.table.shape[2]
        codes = torch.from_numpy(self._own_codes[member])
        drawn = torch.empty(len(codes), width, dtype=self.table.dtype).normal_(generator=generator)
        self.table[member, codes.to(self.table.device)] = drawn.to(self.table.device)

    def forward(self, codes: Int[Tensor, "streams rows columns"]) -> Float[Tensor, "members rows columns width"]:
        """Look up; `streams` is the number of members, or 1 for rows that all members share."""
        n_members, n_codes, width = self.table.shape
        # One lookup in all members' tables: faster than indexing [K, C, D], and a plain Gather in ONNX.
        first = torch.arange(n_members, device=codes.device) * n_codes
        # A copy in training, where the optimizer keeps a member's parameters side by side.
        tables = self.table.reshape(n_members * n_codes, width)
        return nn.functional.embedding(codes + first[:, None, None], tables)


class StackedPeriodic(StackedLayer):
    """`sin` and `cos` of every number at learned frequencies (Gorishniy et al. 2022, equation 5).

    Args:
        n_numbers: features, each with frequencies of its own.
        n_frequencies: of each.
        scale: standard deviation of the frequencies at the start.
        n_members: size of the stack.
        own_numbers: which features are a member's own, where some are zero in every row that it sees; None when all
            features are everyone's.
    """

    def __init__(
        self,
        n_numbers: int,
        n_frequencies: int,
        *,
        scale: float,
        n_members: int,
        own_numbers: Sequence[Int64[np.ndarray, " _own"]] | None = None,
    ) -> None:
        super().__init__()
        self._own_numbers = own_numbers  # of the members at the start: nobody draws later
        self.frequency = nn.Parameter(torch.zeros(n_members, n_numbers, n_frequencies))
        self._scale = scale

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Normal around zero with the standard deviation `scale`."""
        _, n_numbers, n_frequencies = self.frequency.shape
        numbers = torch.arange(n_numbers) if self._own_numbers is None else torch.from_numpy(self._own_numbers[member])
        drawn = torch.empty(len(numbers), n_frequencies, dtype=self.frequency.dtype)
        drawn.normal_(std=self._scale, generator=generator)
        self.frequency[member, numbers.to(self.frequency.device)] = drawn.to(self.frequency.device)

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
        own_numbers: as of `StackedPeriodic`; the vectors of other features are not for the layers behind this.
    """

    def __init__(
        self,
        n_numbers: int,
        n_frequencies: int,
        *,
        scale: float,
        width: int,
        n_members: int,
        own_numbers: Sequence[Int64[np.ndarray, " _own"]] | None = None,
    ) -> None:
        super().__init__()
        self.periodic = StackedPeriodic(
            n_numbers, n_frequencies, scale=scale, n_members=n_members, own_numbers=own_numbers
        )
        self.linear = StackedLinear(2 * n_frequencies, width, n_members=n_members)
        self.n_features = n_numbers * width

    def forward(self, numbers: Float[Tensor, "streams rows numbers"]) -> Float[Tensor, "members rows features"]:
        """Embed every number and concatenate."""
        periodic = self.periodic(numbers)  # [K, B, F, 2n]
        embedded = torch.relu(self.linear(periodic.flatten(1, 2)))  # [K, B * F, D]
        return embedded.reshape(len(embedded), -1, self.n_features)
