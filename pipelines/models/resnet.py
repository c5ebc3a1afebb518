"""A residual perceptron for tables: ResNet of Gorishniy et al. 2021, with layer instead of batch normalisation.

Batch normalisation would make a row's outputs depend on its batch, and a member's on state that is no weight.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.config.schema import ResNetConfig
from pipelines.models.inputs import InputFacts
from pipelines.models.mlp import ACTIVATIONS
from pipelines.models.net import StackedNet
from pipelines.models.stem import TableStem
from pipelines.stack.layers import StackedDropout, StackedLinear
from pipelines.stack.norm import StackedLayerNorm
from pipelines.stack.randomness import DropoutNoise


class ResidualBlock(nn.Module):
    """`x + dropout(linear(dropout(activation(linear(norm(x))))))`.

    Args:
        config: width, inner width and activation.
        n_members: size of the stack.
    """

    def __init__(self, config: ResNetConfig, *, n_members: int) -> None:
        super().__init__()
        self.norm = StackedLayerNorm(config.width, n_members=n_members)
        self.inner = StackedLinear(config.width, config.inner_width, n_members=n_members)
        self.outer = StackedLinear(config.inner_width, config.width, n_members=n_members)
        self.activation = ACTIVATIONS[config.activation]

    def forward(
        self, x: Float[Tensor, "members rows width"], drop: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "members rows width"]:
        """Add what the block has learned."""
        inner = self.activation(self.inner(self.norm(x)))
        return x + drop(self.outer(drop(inner)))


class StackedResNet(StackedNet):
    """Residual perceptrons of one shape.

    Args:
        members: one configuration a member; they may differ in dropout alone.
        inputs: of the net.
        n_outputs: outputs of every member.
    """

    def __init__(self, members: Sequence[ResNetConfig], *, inputs: InputFacts, n_outputs: int) -> None:
        super().__init__()
        config, n_members = members[0], len(members)
        self.stem = TableStem(inputs, config, n_members=n_members)
        self.input = StackedLinear(
            self.stem.n_features, config.width, n_members=n_members, own_inputs=self.stem.own_features
        )
        # One rate a member and one layer for all places: a rate of a place's own would switch its noise off when no
        # neighbour has one either, and the noise of later places would then depend on the neighbours.
        self.dropout = StackedDropout([member.dropout for member in members])
        self.blocks = nn.ModuleList(ResidualBlock(config, n_members=n_members) for _ in range(config.blocks))
        self.norm = StackedLayerNorm(config.width, n_members=n_members)
        self.output = StackedLinear(config.width, n_outputs, n_members=n_members)
        self.activation = ACTIVATIONS[config.activation]

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; without noise no activation is dropped."""

        def drop(activations: Tensor) -> Tensor:
            return activations if noise is None else self.dropout(activations, noise)

        x: Tensor = self.input(self.stem(numbers, codes))
        for block in self.blocks:
            x = block(x, drop)
        outputs: Tensor = self.output(self.activation(self.norm(x)))
        return outputs
