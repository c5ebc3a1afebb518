"""Perceptrons for an exporter: their layers as grouped convolutions, which ONNX Runtime computes fastest.

A row is a pixel, a unit is a channel and a member is a group. Bias and activation are then part of the product, which
as `MatMul`, `Add` and `Relu` would write and read [K, B, H] three times: on one core, 100 rows through 16 members of
two layers of 128 units take a fifth less, 2,048 rows a third, and one row as long. And where ONNX Runtime has its own
layout of channels (multiples of 8), a row's hidden units are the same to the last bit whatever rows come with it.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipelines.stack.perceptron import Layer


def convolved_perceptron(
    x: Float[Tensor, "streams rows inputs"], layers: Sequence[Layer], activation: Callable[[Tensor], Tensor]
) -> Float[Tensor, "members rows outputs"]:
    """Every member's layers, with the activation between them.

    Args:
        x: rows, one slice a member or 1 that all share.
        layers: in order.
        activation: of the hidden ones, unit by unit.
    """
    n_groups, n_rows, _ = x.shape
    n_members = len(layers[0][0])
    channels = x.transpose(1, 2).reshape(1, -1, n_rows, 1)  # [1, groups * inputs, B, 1]
    for place, (weight, bias) in enumerate(layers):
        if place:
            channels, n_groups = activation(channels), n_members
        channels = functional.conv2d(channels, weight.flatten(0, 1)[:, :, None, None], bias.flatten(), groups=n_groups)
    return channels.reshape(n_members, -1, n_rows).transpose(1, 2)
