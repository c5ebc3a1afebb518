"""A convolutional net for images whose pixels are a table's number columns, row after row."""

import math
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.config.schema import CNNConfig
from pipelines.errors import UserError
from pipelines.models.inputs import InputFacts
from pipelines.models.mlp import ACTIVATIONS
from pipelines.models.net import StackedNet
from pipelines.models.stem import OneHot, check_numbers_alike, labels_behind, own_beside_labels
from pipelines.stack.conv import StackedConv2d, halve_images
from pipelines.stack.layers import StackedDropout, StackedLinear
from pipelines.stack.randomness import DropoutNoise


class StackedCNN(StackedNet):
    """Convolutions, an activation after each and the image halved; then one hidden layer with dropout.

    Categories, where a table has any beside the pixels, are seen by the hidden layer, one-hot.

    Args:
        members: one configuration a member; they may differ in dropout alone.
        inputs: of the net.
        n_outputs: outputs of every member.

    Raises:
        UserError: the numbers are no grid.
    """

    def __init__(self, members: Sequence[CNNConfig], *, inputs: InputFacts, n_outputs: int) -> None:
        super().__init__()
        config, n_members = members[0], len(members)
        check_numbers_alike(inputs, kind=config.kind)
        self.grid = grid_of(config.grid, n_numbers=inputs.n_numbers)
        self.activation = ACTIVATIONS[config.activation]
        self.categories = OneHot(inputs.cardinalities)
        self.convolutions = nn.ModuleList()
        height, width = self.grid
        n_channels = 1
        for n_filters in config.channels:
            self.convolutions.append(StackedConv2d(n_channels, n_filters, config.kernel, n_members=n_members))
            n_channels, height, width = n_filters, math.ceil(height / 2), math.ceil(width / 2)
        n_pixels, n_labels = n_channels * height * width, self.categories.n_features
        own_inputs = own_beside_labels(n_pixels, inputs)
        self.hidden = StackedLinear(n_pixels + n_labels, config.width, n_members=n_members, own_inputs=own_inputs)
        self.dropout = StackedDropout([member.dropout for member in members])
        self.output = StackedLinear(config.width, n_outputs, n_members=n_members)

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; without noise no activation is dropped."""
        images = numbers.reshape(*numbers.shape[:2], 1, *self.grid)  # [S, B, 1, H, W]
        for convolution in self.convolutions:
            images = halve_images(self.activation(convolution(images)))
        hidden = self.activation(self.hidden(labels_behind(images.flatten(2), self.categories, codes)))
        if noise is not None:
            hidden = self.dropout(hidden, noise)
        outputs: Tensor = self.output(hidden)
        return outputs


def grid_of(grid: tuple[int, ...] | None, *, n_numbers: int) -> tuple[int, int]:
    """Rows and columns of the pixels.

    Args:
        grid: as configured; None for a square.
        n_numbers: width of the number features.

    Raises:
        UserError: it does not hold as many pixels as there are numbers.
    """
    if grid is not None:
        n_rows, n_columns = grid
        if n_rows * n_columns != n_numbers:
            raise UserError(
                f"model.grid = [{n_rows}, {n_columns}] holds {n_rows * n_columns} pixels, and the table gives "
                f"{n_numbers} number features (a column with missing values gives two). {_ADVICE}"
            )
        return n_rows, n_columns
    side = math.isqrt(n_numbers)
    if not n_numbers or side * side != n_numbers:
        raise UserError(
            f"model=cnn reads number features as the pixels of an image, and {n_numbers} of them are no square. "
            f"Say model.grid=[rows,columns]. {_ADVICE}"
        )
    return side, side


_ADVICE = "Leave columns that are no pixels out with data.drop=[...], or use model=mlp."
