"""A hidden layer of ReLU units on the CPU: product, bias, activation and dropout while a few members lie in the cache.

It computes what `StackedLinear`, `torch.relu` and `StackedDropout` compute one after the other. Those read and write
the activations of the whole stack, [K, B, H], from memory seven times a step; this reads and writes them three times.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# What one core's second-level cache holds beside the weights; more members at once gain nothing.
CACHED_BYTES = 1 << 20

Mask = tuple[slice, Tensor]
"""Neighbouring members that share one mask, and the mask: 0 where dropped, 1 / (1 - rate) elsewhere, [B, H]."""


def hidden_relu(
    x: Float[Tensor, "streams rows inputs"],
    weight: Float[Tensor, "members outputs inputs"],
    bias: Float[Tensor, "members outputs"],
    masks: Sequence[Mask],
) -> Float[Tensor, "members rows outputs"]:
    """`dropout(relu(x @ weight.T + bias))` of every member.

    Args:
        x: rows, one slice a member or 1 that all share.
        weight: of the layer.
        bias: of the layer.
        masks: of all members, in order; none when nothing is dropped.
    """
    if not torch.is_grad_enabled():
        return _compute(x, weight, bias, tuple(masks))
    outputs: Tensor = _HiddenReLU.apply(x, weight, bias, tuple(masks))  # type: ignore[no-untyped-call]  # torch has none
    return outputs


class _HiddenReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, masks: tuple[Mask, ...]) -> Tensor:
        y = _compute(x, weight, bias, masks)
        ctx.save_for_backward(x, weight, y)
        ctx.masks = masks
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        (of_y,) = gradients
        x, weight, y = ctx.saved_tensors
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_weight, of_bias = torch.empty_like(weight), weight.new_empty(weight.shape[:2])
        if of_x is not None and len(x) != len(y):
            of_x.zero_()
        for members in _cached(y):
            # Where the unit was off or dropped y is 0; elsewhere the mask is the scale alone.
            of_sum = torch.ops.aten.threshold_backward(of_y[members], y[members], 0)
            for place, mask in _within(ctx.masks, members):
                of_sum[place.start - members.start : place.stop - members.start].mul_(mask)
            torch.sum(of_sum, dim=1, out=of_bias[members])
            torch.bmm(of_sum.transpose(1, 2), _of(x, members), out=of_weight[members])
            if of_x is not None and len(x) == len(y):
                torch.bmm(of_sum, weight[members], out=of_x[members])
            elif of_x is not None:
                of_x += torch.bmm(of_sum, weight[members]).sum(0, keepdim=True)
        return of_x, of_weight, of_bias, None


def _compute(x: Tensor, weight: Tensor, bias: Tensor, masks: tuple[Mask, ...]) -> Tensor:
    y = x.new_empty(weight.shape[0], x.shape[1], weight.shape[1])  # [K, B, H]
    for members in _cached(y):
        own = y[members]
        torch.bmm(_of(x, members), weight[members].transpose(1, 2), out=own)
        own.add_(bias[members, None, :]).relu_()
        for place, mask in _within(masks, members):
            y[place].mul_(mask)
    return y


def _cached(y: Tensor) -> list[slice]:
    """Neighbouring members, as many at once as the cache holds of their activations."""
    n_members = max(1, CACHED_BYTES // (y[0].numel() * y.element_size()))
    return [slice(start, min(start + n_members, len(y))) for start in range(0, len(y), n_members)]


def _of(x: Tensor, members: slice) -> Tensor:
    """The rows of these members."""
    return x.expand(members.stop - members.start, -1, -1) if len(x) == 1 else x[members]


def _within(masks: tuple[Mask, ...], members: slice) -> list[Mask]:
    """The parts of the masks that lie among these members."""
    cut = [(max(own.start, members.start), min(own.stop, members.stop), mask) for own, mask in masks]
    return [(slice(start, stop), mask) for start, stop, mask in cut if start < stop]
