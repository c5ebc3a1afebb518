"""From a model's configuration to its stacked net: the one place that knows every architecture."""

from collections.abc import Callable, Mapping, Sequence

from pipelines.config.schema import (
    CNNConfig,
    CustomConfig,
    GRUConfig,
    LinearConfig,
    MLPConfig,
    ModelConfig,
    ResNetConfig,
)
from pipelines.models.cnn import StackedCNN
from pipelines.models.custom import StackedCustomNet
from pipelines.models.gru import StackedGRUNet
from pipelines.models.inputs import InputFacts
from pipelines.models.linear import StackedLinearNet
from pipelines.models.mlp import StackedMLP
from pipelines.models.net import StackedNet
from pipelines.models.resnet import StackedResNet

# Every net is called as Net(members, inputs=, n_outputs=).
NETS: Mapping[type[ModelConfig], Callable[..., StackedNet]] = {
    LinearConfig: StackedLinearNet,
    MLPConfig: StackedMLP,
    ResNetConfig: StackedResNet,
    CNNConfig: StackedCNN,
    GRUConfig: StackedGRUNet,
    CustomConfig: StackedCustomNet,
}


def build_net(members: Sequence[ModelConfig], *, inputs: InputFacts, n_outputs: int) -> StackedNet:
    """A net for these members, with all weights zero.

    Args:
        members: one configuration a member; they may differ in what is declared per member (dropout) alone.
        inputs: what is known of the encoded table.
        n_outputs: outputs of every member.

    Raises:
        ValueError: there are no members.
        UserError: this net cannot read these inputs.
    """
    if not members:
        raise ValueError("A stack needs at least one member, got members=[].")
    return NETS[type(members[0])](members, inputs=inputs, n_outputs=n_outputs)
