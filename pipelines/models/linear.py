"""One linear layer: least squares, logistic and softmax regression, depending on the loss."""

from jaxtyping import Float, Int
from torch import Tensor

from pipelines.models.net import StackedNet
from pipelines.models.stem import OneHotStem
from pipelines.stack.layers import StackedLinear
from pipelines.stack.randomness import DropoutNoise


class StackedLinearNet(StackedNet):
    """`outputs = W features + b`, one `W` and `b` a member."""

    def __init__(self, *, n_numbers: int, cardinalities: tuple[int, ...], n_outputs: int, n_members: int) -> None:
        super().__init__()
        self.stem = OneHotStem(n_numbers, cardinalities)
        self.output = StackedLinear(self.stem.n_features, n_outputs, n_members=n_members)

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; there is no dropout."""
        outputs: Tensor = self.output(self.stem(numbers, codes))
        return outputs
