"""The multi-layer perceptron: hidden layers, an activation after each, dropout after each activation."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.config.schema import Activation, MLPConfig
from pipelines.models.inputs import InputFacts
from pipelines.models.net import StackedNet
from pipelines.models.stem import TableStem
from pipelines.stack.convolved import convolved_perceptron
from pipelines.stack.layers import StackedDropout, StackedLinear
from pipelines.stack.perceptron import relu_perceptron
from pipelines.stack.randomness import DropoutNoise

ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "none": lambda x: x,
}


class StackedMLP(StackedNet):
    """Perceptrons of one shape.

    Args:
        members: one configuration a member; they may differ in dropout alone.
        inputs: of the net.
        n_outputs: outputs of every member.
    """

    def __init__(self, members: Sequence[MLPConfig], *, inputs: InputFacts, n_outputs: int) -> None:
        super().__init__()
        config, n_members = members[0], len(members)
        self.stem = TableStem(inputs, config, n_members=n_members)
        widths = [self.stem.n_features, *config.hidden, n_outputs]
        own_inputs = [self.stem.own_features, *[None] * len(config.hidden)]  # of the first layer alone
        *hidden, self.output = (
            StackedLinear(fan_in, fan_out, n_members=n_members, own_inputs=of_layer)
            for (fan_in, fan_out), of_layer in zip(pairwise(widths), own_inputs, strict=True)
        )
        self.hidden = nn.ModuleList(hidden)
        self.dropout = StackedDropout([member.dropout for member in members])
        self._hidden_widths = config.hidden
        self.activation = ACTIVATIONS[config.activation]

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; without noise no activation is dropped."""
        x: Tensor = self.stem(numbers, codes)
        layers = [(layer.weight, layer.bias) for layer in (*self.hidden, self.output)]
        if torch.compiler.is_exporting():
            return convolved_perceptron(x, layers, self.activation)
        if self._is_fused(x, noise):
            dropped = self.dropout.dropped(noise, n_rows=x.shape[1], widths=self._hidden_widths)
            return relu_perceptron(x, layers, dropped)
        for layer in self.hidden:
            activated = self.activation(layer(x))
            x = activated if noise is None else self.dropout(activated, noise)
        outputs: Tensor = self.output(x)
        return outputs

    def _is_fused(self, x: Tensor, noise: DropoutNoise | None) -> bool:
        """In training and in validation."""
        is_ours = noise is not None or torch.is_inference_mode_enabled()
        return is_ours and self.activation is torch.relu and x.device.type == "cpu" and not _is_autocast()


def _is_autocast() -> bool:
    """Whether products are rounded to bfloat16 on the CPU; `relu_perceptron` keeps one dtype throughout."""
    return torch.is_autocast_enabled("cpu")
