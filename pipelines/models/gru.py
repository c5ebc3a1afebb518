"""A recurrent net for tables whose number columns are the steps of a sequence."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.config.schema import GRUConfig
from pipelines.errors import UserError
from pipelines.models.inputs import InputFacts
from pipelines.models.net import StackedNet
from pipelines.models.stem import OneHot, check_numbers_alike, labels_behind, own_beside_labels
from pipelines.stack.layers import StackedDropout, StackedLinear
from pipelines.stack.randomness import DropoutNoise
from pipelines.stack.recurrent import StackedGRU


class StackedGRUNet(StackedNet):
    """Gated recurrent layers over the steps, dropout after each, and a linear layer on the last state.

    Numbers are read in the table's order, step after step: the first F/N are those of the first step. Categories,
    where a table has any, are seen by the last layer, one-hot.

    Args:
        members: one configuration a member; they may differ in dropout alone.
        inputs: of the net.
        n_outputs: outputs of every member.

    Raises:
        UserError: there are no numbers, or they do not divide into the steps.
    """

    def __init__(self, members: Sequence[GRUConfig], *, inputs: InputFacts, n_outputs: int) -> None:
        super().__init__()
        config, n_members = members[0], len(members)
        check_numbers_alike(inputs, kind=config.kind)
        self.n_steps = inputs.n_numbers if config.steps is None else config.steps
        if not inputs.n_numbers:
            raise UserError(
                f"model={config.kind} reads number features as the steps of a sequence, and this table has none. "
                "Use model=mlp."
            )
        if inputs.n_numbers % self.n_steps:
            raise UserError(
                f"model=gru reads number features as steps of equal width, and {inputs.n_numbers} of them do not make "
                f"{self.n_steps} steps (a column with missing values gives two). Set model.steps to a divisor, leave "
                "columns that belong to no step out with data.drop=[...], or use model=mlp."
            )
        widths = [inputs.n_numbers // self.n_steps, *[config.width] * config.layers]
        self.categories = OneHot(inputs.cardinalities)
        self.recurrent = nn.ModuleList(StackedGRU(fan_in, config.width, n_members=n_members) for fan_in in widths[:-1])
        self.dropout = StackedDropout([member.dropout for member in members])
        n_states, n_labels = config.width, self.categories.n_features
        own_inputs = own_beside_labels(n_states, inputs)
        self.output = StackedLinear(n_states + n_labels, n_outputs, n_members=n_members, own_inputs=own_inputs)

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; without noise no activation is dropped."""
        states = numbers.reshape(*numbers.shape[:2], self.n_steps, -1)  # [S, B, N, F/N]
        for place, layer in enumerate(self.recurrent):
            states = layer(self._drop(states, noise) if place and noise is not None else states)
        last = states[:, :, -1]  # nobody reads the others: dropping them, too, took many times as long
        if noise is not None:
            last = self.dropout(last, noise)
        outputs: Tensor = self.output(labels_behind(last, self.categories, codes))
        return outputs

    def _drop(
        self, states: Float[Tensor, "members rows steps width"], noise: DropoutNoise
    ) -> Float[Tensor, "members rows steps width"]:
        """`nn.GRU` drops each step's units apart; so does this, with a layer as wide as all steps."""
        dropped: Tensor = self.dropout(states.flatten(2), noise)
        return dropped.view(states.shape)
