"""A user's own net, as a stack. It reads what every net for tables reads: numbers as they are, categories one-hot."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipelines.config.schema import CustomConfig
from pipelines.models.custom_class import build_custom
from pipelines.models.custom_stacking import why_alone
from pipelines.models.inputs import InputFacts
from pipelines.models.net import StackedNet
from pipelines.models.stem import TableStem
from pipelines.stack.functional import StackedModule
from pipelines.stack.layers import StackedLayer
from pipelines.stack.randomness import DropoutNoise


class StackedCustomNet(StackedNet):
    """Nets of one class, built with the same arguments.

    Args:
        members: one configuration a member, all the same.
        inputs: of the net.
        n_outputs: outputs of every member.

    Raises:
        UserError: there is no such class, or it cannot be built so.
    """

    def __init__(self, members: Sequence[CustomConfig], *, inputs: InputFacts, n_outputs: int) -> None:
        super().__init__()
        config, n_members = members[0], len(members)
        self.stem = TableStem(inputs, n_members=n_members)
        self.known = KnownFeatures(self.stem.own_features, n_features=self.stem.n_features, n_members=n_members)
        facts = {"n_inputs": self.stem.n_features, "n_outputs": n_outputs}
        by_vmap = why_alone(config, **facts) is None
        self.module = StackedModule(partial(build_custom, config, **facts), n_members=n_members, by_vmap=by_vmap)

    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; without noise every module is in evaluation mode."""
        outputs: Tensor = self.module(self.known(self.stem(numbers, codes)), noise)
        return outputs


class KnownFeatures(StackedLayer):
    """Zeros for features that a member's training rows lack: its net has learned nothing of them.

    Kept with the weights, since a member is served beside those of other folds.

    Args:
        own: places of each member's own features; None when all are everyone's.
        n_features: of all.
        n_members: size of the stack.
    """

    mask: Tensor

    def __init__(self, own: Sequence[np.ndarray] | None, *, n_features: int, n_members: int) -> None:
        super().__init__()
        mask = np.ones((n_members, n_features), dtype=bool)
        for member, places in enumerate(own or ()):
            mask[member] = np.isin(np.arange(n_features), places)
        self.lacks_some = not mask.all()  # not asked in a step, which would wait for the device
        self.register_buffer("mask", torch.from_numpy(mask))
        self.register_load_state_dict_post_hook(_note_lacks)  # type: ignore[no-untyped-call]  # torch has none

    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Nothing to draw."""

    def forward(
        self, features: Float[Tensor, "members_or_streams rows features"]
    ) -> Float[Tensor, "members_or_streams rows features"]:
        """Multiply by one or zero, where that changes anything; rows that all members share stay shared."""
        return features * self.mask[:, None] if self.lacks_some else features


def _note_lacks(layer: KnownFeatures, _: object) -> None:
    """A served net is built without folds: its members' weights say what they lack."""
    layer.lacks_some = not bool(layer.mask.all())
