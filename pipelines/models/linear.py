"""One linear layer: least squares, logistic and softmax regression, depending on the loss."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from pipelines.config.schema import LinearConfig
from pipelines.models.inputs import InputFacts
from pipelines.models.net import StackedNet
from pipelines.models.stem import TableStem
from pipelines.stack.layers import StackedLinear
from pipelines.stack.randomness import DropoutNoise


class StackedLinearNet(StackedNet):
    """`outputs = W features + b`, one `W` and `b` a member.

    Args:
        members: one configuration a member.
        inputs: of the net.
        n_outputs: outputs of every member.
    """

    def __init__(self, members: Sequence[LinearConfig], *, inputs: InputFacts, n_outputs: int) -> None:
        super().__init__()
        self.stem = TableStem(inputs, n_members=len(members))
        self.output = StackedLinear(
            self.stem.n_features, n_outputs, n_members=len(members), own_inputs=self.stem.own_features
        )

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; there is no dropout."""
        outputs: Tensor = self.output(self.stem(numbers, codes))
        return outputs
