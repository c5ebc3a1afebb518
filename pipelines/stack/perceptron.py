"""A perceptron of ReLU units on the CPU: a few members at a time go through all layers while they lie in the cache.

It computes what `StackedLinear`, `torch.relu` and `StackedDropout` compute one after the other. Those read and write
the activations of the whole stack, [K, B, H], from memory a dozen times a layer and step; this does it thrice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# Of one layer's activations: what the cores hold beside those of the layer below and their gradients.
CACHED_BYTES = 1 << 20


@dataclass(frozen=True)
class SharedMasks:
    """Neighbouring members with one dropout rate and one stream.

    Attributes:
        members: which.
        ceilings: of each hidden layer, [B, H]: 0 where dropped, infinity elsewhere; empty when nothing is dropped.
        scale: 1 / (1 - rate), which the products of the layer above take in.
    """

    members: slice
    ceilings: Sequence[Tensor]
    scale: float

    def scale_of_input(self, place: int) -> float:
        """What a layer multiplies its input by: the first one reads the columns, of which none is dropped."""
        return self.scale if place else 1.0


Layer = tuple[Tensor, Tensor]
"""Weight [K, outputs, inputs] and bias [K, outputs]."""


def relu_perceptron(
    x: Float[Tensor, "streams rows inputs"], layers: Sequence[Layer], groups: Sequence[SharedMasks]
) -> Float[Tensor, "members rows outputs"]:
    """Every member's hidden layers, `dropout(relu(x @ weight.T + bias))`, and its last one, without the two.

    Args:
        x: rows, one slice a member or 1 that all share.
        layers: in order.
        groups: all members, in order.
    """
    if not torch.is_grad_enabled():
        return _infer(x, layers, groups)
    flat = [tensor for layer in layers for tensor in layer]
    outputs: Tensor = _ReLUPerceptron.apply(x, tuple(groups), *flat)  # type: ignore[no-untyped-call]  # torch has none
    return outputs


def _infer(x: Tensor, layers: Sequence[Layer], groups: Sequence[SharedMasks]) -> Tensor:
    outputs = _empty(x, layers[-1])
    for group, members in _portions(x, layers, groups):
        below = _of(x, members)
        for place, layer in enumerate(layers[:-1]):
            y = below.new_empty(len(below), x.shape[1], layer[1].shape[1])
            below = _hidden(below, layer, members, group, place, into=y)
        _linear(below, layers[-1], members, group.scale_of_input(len(layers) - 1), into=outputs[members])
    return outputs


class _ReLUPerceptron(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: tuple[SharedMasks, ...], *flat: Tensor) -> Tensor:
        layers = _layers(flat)
        activations = [_empty(x, layer) for layer in layers]
        for group, members in _portions(x, layers, groups):
            below = _of(x, members)
            for place, layer in enumerate(layers[:-1]):
                below = _hidden(below, layer, members, group, place, into=activations[place][members])
            _linear(below, layers[-1], members, group.scale_of_input(len(layers) - 1), into=activations[-1][members])
        ctx.save_for_backward(x, *activations[:-1], *flat)
        ctx.groups = groups
        return activations[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (of_outputs,) = gradients
        n_hidden = (len(ctx.saved_tensors) - 3) // 3  # x, one activation and two parameters a hidden layer, two more
        x, activations = ctx.saved_tensors[0], ctx.saved_tensors[1 : 1 + n_hidden]
        layers = _layers(ctx.saved_tensors[1 + n_hidden :])
        into = [(torch.empty_like(weight), torch.empty_like(bias)) for weight, bias in layers]
        of_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        for group, members in _portions(x, layers, ctx.groups):
            of_sum = of_outputs[members]
            for place in range(n_hidden, 0, -1):
                y = activations[place - 1][members]
                _differentiate(of_sum, y, members, group.scale, into=into[place])
                of_y = _product(of_sum, layers[place][0][members], group.scale)
                # Where the unit was off or dropped y is 0.
                of_sum = torch.ops.aten.threshold_backward.grad_input(of_y, y, 0, grad_input=of_y)
            _differentiate(of_sum, _of(x, members), members, 1.0, into=into[0])
            if of_x is not None:
                of_own = _product(of_sum, layers[0][0][members], 1.0)
                if len(x) == 1:
                    of_x += of_own.sum(0, keepdim=True)
                else:
                    of_x[members] = of_own
        return of_x, None, *(tensor for layer in into for tensor in layer)


def _hidden(x: Tensor, layer: Layer, members: slice, group: SharedMasks, place: int, *, into: Tensor) -> Tensor:
    _linear(x, layer, members, group.scale_of_input(place), into=into)
    if not group.ceilings:
        return into.relu_()
    return into.clamp_(into.new_zeros(()), group.ceilings[place])


def _linear(x: Tensor, layer: Layer, members: slice, scale: float, *, into: Tensor) -> None:
    """`scale` times x is what the layer reads."""
    weight, bias = layer
    torch.baddbmm(bias[members, None, :], x, weight[members].transpose(1, 2), alpha=scale, out=into)


def _differentiate(of_sum: Tensor, below: Tensor, members: slice, scale: float, *, into: Layer) -> None:
    """Write the gradients of a layer's parameters; `scale` times `below` is what it read."""
    of_weight, of_bias = into[0][members], into[1][members]
    torch.baddbmm(of_weight, of_sum.transpose(1, 2), below, beta=0, alpha=scale, out=of_weight)
    torch.sum(of_sum, dim=1, out=of_bias)


def _product(a: Tensor, b: Tensor, scale: float) -> Tensor:
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)


def _layers(flat: Sequence[Tensor]) -> list[Layer]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _empty(x: Tensor, layer: Layer) -> Tensor:
    n_members, n_outputs = layer[1].shape
    return x.new_empty(n_members, x.shape[1], n_outputs)


def _portions(x: Tensor, layers: Sequence[Layer], groups: Sequence[SharedMasks]) -> Iterator[tuple[SharedMasks, slice]]:
    """Neighbouring members of one group, as many at once as the cache holds."""
    widest = max(bias.shape[1] for _, bias in layers)
    n_members = max(1, CACHED_BYTES // (x.shape[1] * widest * x.element_size()))
    for group in groups:
        for start in range(group.members.start, group.members.stop, n_members):
            yield group, slice(start, min(start + n_members, group.members.stop))


def _of(x: Tensor, members: slice) -> Tensor:
    """The rows of these members."""
    return x.expand(members.stop - members.start, -1, -1) if len(x) == 1 else x[members]
