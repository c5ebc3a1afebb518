"""Convolution and pooling of images, with one set of filters a member."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.stack.layers import StackedLayer


class StackedConv2d(StackedLayer):
    """One `nn.Conv2d` a member, with padding that keeps the image's size.

    Args:
        in_channels: of every member's image.
        out_channels: filters of every member.
        kernel: height and width of a filter, odd.
        n_members: size of the stack.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, n_members: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_members, out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(n_members, out_channels))

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """As `nn.Conv2d`: uniform within 1/sqrt(fan in)."""
        bound = 1 / math.sqrt(self.weight[member, 0].numel())
        for parameter in (self.weight, self.bias):
            drawn = torch.empty(parameter.shape[1:], dtype=parameter.dtype)
            parameter[member] = drawn.uniform_(-bound, bound, generator=generator).to(parameter.device)

    def forward(
        self, x: Float[Tensor, "streams rows channels height columns"]
    ) -> Float[Tensor, "members rows filters height columns"]:
        """Convolve; `streams` is the number of members, or 1 for images that all members share.

        All members are one convolution: shared images see K*O filters, others are K groups of channels. On the CPU
        groups take a fifth to a twelfth of the time of patches and a batched product.
        """
        n_members, n_filters = self.bias.shape
        n_groups = len(x)
        # [K, B, C, H, W] is kept in memory as [B, K, C, H, W], so that neither view is a copy between two layers.
        images = x.transpose(0, 1).flatten(1, 2)
        filters = self.weight.flatten(0, 1)
        padding = self.weight.shape[-1] // 2
        y = nn.functional.conv2d(images, filters, self.bias.flatten(), padding=padding, groups=n_groups)
        return y.view(-1, n_members, n_filters, *y.shape[2:]).transpose(0, 1)


def halve_images(
    x: Float[Tensor, "members rows channels height columns"],
) -> Float[Tensor, "members rows channels half_height half_columns"]:
    """The greatest of every 2 x 2 pixels; a last row or column without a neighbour stands alone."""
    images = x.transpose(0, 1).flatten(1, 2)
    halved = nn.functional.max_pool2d(images, 2, ceil_mode=True)
    return halved.view(-1, len(x), x.shape[2], *halved.shape[2:]).transpose(0, 1)
