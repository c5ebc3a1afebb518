"""Layers that hold one set of weights a member and compute all members at once.

Every parameter and buffer of a `StackedLayer` has the members axis first; that is what lets a stack drop members.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from pipelines.axes import per_member
from pipelines.stack.perceptron import Dropped
from pipelines.stack.randomness import DropoutNoise


class StackedLayer(nn.Module, ABC):
    """A layer whose tensors are all `[members, ...]`."""

    @abstractmethod
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Draw one member's initial weights: the same numbers whatever else is in the stack."""

    def take_(self, members: Int[Tensor, " kept"]) -> None:
        """Keep these members, in this order, and drop the rest from memory."""
        for parameter in self.parameters(recurse=False):
            parameter.data = parameter.data[members].contiguous()
            parameter.grad = None
        for name, buffer in self.named_buffers(recurse=False):
            setattr(self, name, buffer[members].contiguous())


class StackedLinear(StackedLayer):
    """One `nn.Linear` a member, computed as a single matrix product.

    Args:
        in_features: inputs of every member.
        out_features: outputs of every member.
        n_members: size of the stack.
        own_inputs: which inputs are a member's own, where some of them are zero in every row that it sees: those get
            no weight, and it is drawn as a layer of its own inputs alone. None when all inputs are everyone's.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_members: int,
        own_inputs: Sequence[Int64[np.ndarray, " _own"]] | None = None,
    ) -> None:
        super().__init__()
        self._own_inputs = own_inputs  # of the members at the start: nobody draws later
        self.weight = nn.Parameter(torch.zeros(n_members, out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(n_members, out_features))

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """As `nn.Linear`: uniform within 1/sqrt(fan in).

        Never one draw for the stack: `torch.nn.init` would read the members axis as a layer's and get the fan wrong.
        """
        _, n_outputs, n_inputs = self.weight.shape
        inputs = torch.arange(n_inputs) if self._own_inputs is None else torch.from_numpy(self._own_inputs[member])
        bound = 1 / math.sqrt(len(inputs))
        weight = torch.zeros(n_outputs, n_inputs, dtype=self.weight.dtype)
        drawn = torch.empty(n_outputs, len(inputs), dtype=self.weight.dtype)
        weight[:, inputs] = drawn.uniform_(-bound, bound, generator=generator)
        bias = torch.empty(n_outputs, dtype=self.bias.dtype).uniform_(-bound, bound, generator=generator)
        self.weight[member] = weight.to(self.weight.device)
        self.bias[member] = bias.to(self.bias.device)

    def forward(self, x: Float[Tensor, "streams rows inputs"]) -> Float[Tensor, "members rows outputs"]:
        """Multiply; `streams` is the number of members, or 1 for rows that all members share."""
        n_members, n_outputs, n_inputs = self.weight.shape
        if x.shape[0] == n_members:
            return torch.baddbmm(self.bias[:, None, :], x, self.weight.transpose(1, 2))
        if torch.compiler.is_exporting():
            # ONNX Runtime broadcasts without a copy, and is faster without the turns below: by a fifth for one row.
            return x @ self.weight.transpose(1, 2) + self.bias[:, None, :]
        # Shared rows: ONE product [K*O, I] x [I, B]. The result is [K, O, B] in memory, which batched products
        # take as it is, while a broadcast [K, B, I] input would be copied K times.
        shared = self.weight.reshape(n_members * n_outputs, n_inputs) @ x[0].T
        return shared.view(n_members, n_outputs, -1).transpose(1, 2) + self.bias[:, None, :]


class StackedDropout(StackedLayer):
    """Dropout with one rate a member (Srivastava et al. 2014), from one uniform tensor a stream.

    Args:
        rates: share of activations that is zeroed, in [0, 1), one a member.
    """

    rates: Tensor

    def __init__(self, rates: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("rates", torch.tensor(rates), persistent=False)
        self._rates = tuple(rates)  # the same, without asking a device

    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Nothing to draw."""

    def forward(
        self, x: Float[Tensor, "members rows width"], noise: DropoutNoise
    ) -> Float[Tensor, "members rows width"]:
        """Zero each activation with its member's rate and scale the rest up."""
        if not any(self._rates):
            return x
        rates = per_member(self.rates, x)
        kept = noise.uniform(x.shape[1], x.shape[2]) >= rates
        return x * (kept / (1 - rates)).to(x.dtype)

    def dropped(self, noise: DropoutNoise | None, *, n_rows: int, widths: Sequence[int]) -> Dropped | None:
        """What `forward` would do to hidden layers of these widths; None without noise, and where all rates are 0."""
        if noise is None or not any(self._rates):
            return None
        alike = _alike(self._rates, noise.stream_of_member, self.rates.dtype)
        drawn = [noise.of_streams(n_rows, width) for width in widths]
        ceilings = [
            _ceilings(of_layer if of_layer.shape[0] == 1 else of_layer[alike.streams], alike.rates)
            for of_layer in drawn
        ]
        return Dropped(alike.groups, ceilings, alike.scales)

    def take_(self, members: Int[Tensor, " kept"]) -> None:
        """Keep these members."""
        super().take_(members)
        self._rates = tuple(self._rates[member] for member in members.tolist())


class Alike(NamedTuple):
    """Neighbouring members with one rate and one stream, all of them in order, on the CPU.

    Attributes:
        groups: of members.
        streams: of each group.
        rates: of each group, [groups, 1, 1].
        scales: 1 / (1 - rate) of each member, [K, 1, 1].
    """

    groups: Sequence[slice]
    streams: list[int]
    rates: Tensor
    scales: Tensor


@lru_cache(maxsize=8)  # they change when members leave; a step of a few members would spend its tenth on them
def _alike(rates: tuple[float, ...], stream_of_member: tuple[int, ...], dtype: torch.dtype) -> Alike:
    groups: list[slice] = []
    streams: list[int] = []
    for (_, stream), alike in groupby(zip(rates, stream_of_member, strict=True)):
        start = groups[-1].stop if groups else 0
        groups.append(slice(start, start + len(list(alike))))
        streams.append(stream)
    of_member = torch.tensor(rates).to(dtype)[:, None, None]
    return Alike(groups, streams, of_member[[group.start for group in groups]], 1 / (1 - of_member))


def _ceilings(
    noise: Float[Tensor, "#groups rows width"], rates: Float[Tensor, "groups 1 1"]
) -> Float[Tensor, "groups rows width"]:
    """0 where a unit is dropped, infinity elsewhere; in floating point, since booleans take thrice as long."""
    is_dropped = noise.new_empty(rates.shape[0], *noise.shape[1:])
    return torch.lt(noise, rates, out=is_dropped).reciprocal_().sub_(1)


def take_members_(net: nn.Module, members: Int[Tensor, " kept"]) -> None:
    """Keep these members of every stacked layer below `net`, in this order."""
    for layer in net.modules():
        if isinstance(layer, StackedLayer):
            layer.take_(members)


def draw_weights_(net: nn.Module, generators: list[torch.Generator]) -> None:
    """Draw every member's initial weights, layer after layer, from its own generator."""
    for member, generator in enumerate(generators):
        for layer in net.modules():
            if isinstance(layer, StackedLayer):
                layer.draw_member_(member, generator)


def member_weights(stacked: dict[str, Tensor], member: int) -> dict[str, Tensor]:
    """One member's tensors, without the members axis, on the CPU and independent of the stack's memory."""
    return {name: tensor[member].detach().cpu().clone() for name, tensor in stacked.items()}
