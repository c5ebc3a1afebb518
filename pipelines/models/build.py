"""From a model's configuration to its stacked net: the one place that knows every architecture."""

from collections.abc import Sequence

from pipelines.config.schema import MLPConfig, ModelConfig
from pipelines.models.linear import StackedLinearNet
from pipelines.models.mlp import StackedMLP
from pipelines.models.net import StackedNet


def build_net(
    members: Sequence[ModelConfig], *, n_numbers: int, cardinalities: tuple[int, ...], n_outputs: int
) -> StackedNet:
    """A net for these members, with all weights zero.

    Args:
        members: one configuration a member; they may differ in what is declared per member (dropout) alone.
        n_numbers: width of the number features.
        cardinalities: categories of each categorical column.
        n_outputs: outputs of every member.

    Raises:
        ValueError: there are no members.
    """
    if not members:
        raise ValueError("A stack needs at least one member, got members=[].")
    first = members[0]
    if isinstance(first, MLPConfig):
        return StackedMLP(
            first.hidden,
            activation=first.activation,
            dropout_rates=[member.dropout for member in members if isinstance(member, MLPConfig)],
            n_numbers=n_numbers,
            cardinalities=cardinalities,
            n_outputs=n_outputs,
        )
    return StackedLinearNet(
        n_numbers=n_numbers, cardinalities=cardinalities, n_outputs=n_outputs, n_members=len(members)
    )
