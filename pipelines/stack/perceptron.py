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

# Of one layer's activations: the last cache holds them beside those of the layer below and their gradients. Smaller
# portions lose by more calls what they gain in the cores' own caches.
CACHED_BYTES = 1 << 22

Layer = tuple[Tensor, Tensor]
"""Weight [K, outputs, inputs] and bias [K, outputs]."""


@dataclass(frozen=True)
class Dropped:
    """What dropout does to the hidden layers of a stack in one step.

    A dropped unit is held down to 0 by a ceiling, in the pass that ReLU takes anyway. What is kept is not scaled up
    itself: the weights that read it are, since there are fewer of them.

    Attributes:
        groups: neighbouring members with one rate and one stream, all of them in order.
        ceilings: of each hidden layer, [groups, B, H]: 0 where a unit is dropped, infinity elsewhere.
        scales: 1 / (1 - rate).
    """

    groups: Sequence[slice]
    ceilings: Sequence[Float[Tensor, "groups rows _width"]]
    scales: Float[Tensor, "members 1 1"]


def relu_perceptron(
    x: Float[Tensor, "streams rows inputs"], layers: Sequence[Layer], dropped: Dropped | None
) -> Float[Tensor, "members rows outputs"]:
    """Every member's hidden layers, `dropout(relu(x @ weight.T + bias))`, and its last one, without the two.

    Args:
        x: rows, one slice a member or 1 that all share.
        layers: in order.
        dropped: by dropout; None when nothing is.
    """
    flat = [tensor for layer in layers for tensor in layer]
    if not torch.is_grad_enabled():
        return _infer(x, _scaled(layers, dropped), dropped)
    outputs: Tensor = _ReLUPerceptron.apply(x, dropped, *flat)  # type: ignore[no-untyped-call]  # torch has none
    return outputs


def _infer(x: Tensor, scaled: Sequence[Layer], dropped: Dropped | None) -> Tensor:
    outputs = _empty(x, scaled[-1])
    for members in _portions(x, scaled):
        below = _of(x, members)
        for place, layer in enumerate(scaled[:-1]):
            y = below.new_empty(len(below), x.shape[1], layer[1].shape[1])
            below = _hidden(below, layer, members, place, dropped, into=y)
        _linear(below, scaled[-1], members, into=_of(outputs, members))
    return outputs


class _ReLUPerceptron(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: Dropped | None, *flat: Tensor) -> Tensor:
        scaled = _scaled(list(zip(flat[::2], flat[1::2], strict=True)), dropped)
        activations = [_empty(x, layer) for layer in scaled]
        for members in _portions(x, scaled):
            below = _of(x, members)
            for place, layer in enumerate(scaled[:-1]):
                below = _hidden(below, layer, members, place, dropped, into=_of(activations[place], members))
            _linear(below, scaled[-1], members, into=_of(activations[-1], members))
        ctx.save_for_backward(x, *activations[:-1])
        ctx.scaled, ctx.dropped = scaled, dropped
        return activations[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (of_outputs,) = gradients
        x, *activations = ctx.saved_tensors
        scaled: list[Layer] = ctx.scaled
        into = [(torch.empty_like(weight), torch.empty_like(bias)) for weight, bias in scaled]
        of_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        for members in _portions(x, scaled):
            of_sum = _of(of_outputs, members)
            for place in range(len(activations), 0, -1):
                y = _of(activations[place - 1], members)
                _differentiate(of_sum, y, members, into=into[place])
                of_y = _times(of_sum, _of(scaled[place][0], members))
                # Where the unit was off or dropped y is 0.
                of_sum = torch.ops.aten.threshold_backward.grad_input(of_y, y, 0, grad_input=of_y)
            _differentiate(of_sum, _of(x, members), members, into=into[0])
            if of_x is not None:
                of_own = _times(of_sum, _of(scaled[0][0], members))
                if len(x) == 1:
                    of_x += of_own.sum(0, keepdim=True)
                else:
                    of_x[members] = of_own
        if ctx.dropped is not None:
            for weight, _ in into[1:]:
                weight.mul_(ctx.dropped.scales)
        return of_x, None, *(tensor for layer in into for tensor in layer)


def _scaled(layers: Sequence[Layer], dropped: Dropped | None) -> list[Layer]:
    """Layers that read activations of which some are dropped make up for it; the first one reads the columns."""
    if dropped is None:
        return list(layers)
    first, *others = layers
    return [first, *((weight * dropped.scales, bias) for weight, bias in others)]


def _hidden(x: Tensor, layer: Layer, members: slice, place: int, dropped: Dropped | None, *, into: Tensor) -> Tensor:
    _linear(x, layer, members, into=into)
    if dropped is None:
        return into.relu_()
    floor, ceilings = into.new_zeros(()), dropped.ceilings[place]
    if ceilings.shape[0] in (1, dropped.scales.shape[0]):  # one for all, or one for each
        return into.clamp_(floor, _of(ceilings, members))
    for group, ceiling in zip(dropped.groups, ceilings, strict=True):
        start, stop = max(group.start, members.start), min(group.stop, members.stop)
        if start < stop:
            into[start - members.start : stop - members.start].clamp_(floor, ceiling)
    return into


def _linear(x: Tensor, layer: Layer, members: slice, *, into: Tensor) -> None:
    weight, bias = layer
    torch.baddbmm(_of(bias, members).unsqueeze(1), x, _of(weight, members).transpose(1, 2), out=into)


def _differentiate(of_sum: Tensor, below: Tensor, members: slice, *, into: Layer) -> None:
    """Write the gradients of a layer's parameters."""
    of_weight, of_bias = into
    torch.bmm(of_sum.transpose(1, 2), below, out=_of(of_weight, members))
    torch.sum(of_sum, dim=1, out=_of(of_bias, members))


def _times(of_sum: Tensor, weight: Tensor) -> Tensor:
    """The gradient of what a layer reads; a product by one output takes three times as long as a matrix product."""
    return of_sum * weight if weight.shape[1] == 1 else torch.bmm(of_sum, weight)


def _empty(x: Tensor, layer: Layer) -> Tensor:
    n_members, n_outputs = layer[1].shape
    return x.new_empty(n_members, x.shape[1], n_outputs)


def _portions(x: Tensor, layers: Sequence[Layer]) -> Iterator[slice]:
    """Neighbouring members, as many at once as the cache holds."""
    n_members = layers[0][1].shape[0]
    widest = max(bias.shape[1] for _, bias in layers)
    most = max(1, CACHED_BYTES // (x.shape[1] * widest * x.element_size()))
    for start in range(0, n_members, most):
        yield slice(start, min(start + most, n_members))


def _of(tensor: Tensor, members: slice) -> Tensor:
    """What is of these members, or of all; whatever is a stack of one portion's own needs no slice, which is a call."""
    n_members = members.stop - members.start
    if tensor.shape[0] == n_members:
        return tensor
    return tensor.expand(n_members, -1, -1) if tensor.shape[0] == 1 else tensor[members]
