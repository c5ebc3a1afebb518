"""Members of a sweep as one model over encoded rows: what is exported, and the reference that parity is checked by.

Not here: raw columns (`columns`) and the ONNX file (`onnx_graph`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.axes import PerMember, per_member
from pipelines.config.schema import LossName, ModelConfig
from pipelines.config.scopes import without
from pipelines.data.encode import Features
from pipelines.models import InputFacts, StackedNet, build_net
from pipelines.tasks.task import Task, link_members, member_scales

ROWS_AT_ONCE = 8192  # bounds the activations of all members together


@dataclass(frozen=True)
class ServedMember:
    """A trial that is part of the served model.

    Attributes:
        model: its configuration.
        loss: by which it learned; says what its outputs mean.
        weights: state_dict name -> tensor without the members axis.
        weight: its part in the average; those of all members sum to 1.
        run_id: of its run.
        name: shown in the contract.
        fold: of the table that it trained on; 0 of a table without folds.
    """

    model: ModelConfig
    loss: LossName
    weights: Mapping[str, Tensor]
    weight: float
    run_id: str
    name: str
    fold: int = 0


class WeightedStack(nn.Module):
    """A stack whose members' predictions are added up, each times its weight in the average.

    Args:
        net: the members, with their weights loaded.
        shares: each member's weight in the average.
        folds: of each member; it reads rows as that fold encodes them.
        task: turns outputs into predictions.
    """

    shares: Tensor
    folds: Tensor

    def __init__(self, net: StackedNet, shares: PerMember, folds: Sequence[int], *, task: Task) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("shares", shares)
        self.register_buffer("folds", torch.tensor(folds))
        self._task = task
        self._scales = member_scales(task, folds, dtype=shares.dtype, device=shares.device)

    def forward(
        self, numbers: Float[Tensor, "*folds rows numbers"], codes: Int[Tensor, "*folds rows columns"]
    ) -> Float[Tensor, "rows predictions"]:
        """Predict with every member and add up: predictions are averaged, never outputs."""
        rows = (numbers[self.folds], codes[self.folds]) if self._task.folds else (numbers[None], codes[None])
        predictions = link_members(self._task, self.net(*rows), self._scales)  # [K, N, P]
        return (predictions * per_member(self.shares, predictions)).sum(dim=0)


class ServedModel(nn.Module):
    """An ensemble, or one member, over encoded rows; of a table with folds as each fold encodes them, folds first.

    Computes in float32.

    Args:
        stacks: one for every architecture; the shares of all of them sum to 1.
        temperature: of the probabilities; 1 leaves predictions as they are.
    """

    def __init__(self, stacks: Sequence[WeightedStack], *, temperature: float = 1.0) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        self._temperature = temperature

    def forward(
        self, numbers: Float[Tensor, "*folds rows numbers"], codes: Int[Tensor, "*folds rows columns"]
    ) -> Float[Tensor, "rows predictions"]:
        """Weighted mean of the members' predictions: probabilities at the temperature, or values in the own unit."""
        mean: Tensor = reduce(torch.add, [stack(numbers, codes) for stack in self.stacks])
        if self._temperature == 1:
            return mean
        # softmax(log p / T), without a logarithm: that of 0 would make NaN of it, and ONNX Runtime's differs in the
        # last bit by a value's place among the rows. Of the likeliest class it is 1, so that no sum is 0.
        raised = (mean / mean.amax(dim=-1, keepdim=True)) ** (1 / self._temperature)
        return raised / raised.sum(dim=-1, keepdim=True)

    @torch.no_grad()
    def predict(self, features: Features) -> Float[np.ndarray, "rows predictions"]:
        """As `forward`, for arrays of any length."""
        numbers = torch.split(torch.from_numpy(features.numbers), ROWS_AT_ONCE, dim=-2)
        codes = torch.split(torch.from_numpy(features.codes).long(), ROWS_AT_ONCE, dim=-2)
        return torch.cat([self(*rows) for rows in zip(numbers, codes, strict=True)]).numpy()


def build_served(
    members: Sequence[ServedMember], *, inputs: InputFacts, task: Task, temperature: float = 1.0
) -> ServedModel:
    """Stack the members by architecture and loss.

    Args:
        members: at least one.
        inputs: of the nets, as in training.
        task: of all members, save for their losses.
        temperature: of the probabilities (`calibration`); 1 for a regression.

    Raises:
        ValueError: there are no members, or their weights in the average do not sum to 1.
    """
    total = sum(member.weight for member in members)
    if abs(total - 1) > 1e-6:  # noqa: PLR2004  far above the rounding of float64, far below what shows in a prediction
        raise ValueError(f"The members' weights must sum to 1, got {total} from {len(members)} members.")
    stacks = [_weighted_stack(alike, inputs=inputs, task=task) for alike in _by_architecture(members)]
    return ServedModel(stacks, temperature=temperature).eval().requires_grad_(requires_grad=False)


def _by_architecture(members: Sequence[ServedMember]) -> list[list[ServedMember]]:
    groups: dict[str, list[ServedMember]] = {}
    for member in members:
        groups.setdefault(repr((without(member.model, "member"), member.loss)), []).append(member)
    return list(groups.values())


def _weighted_stack(members: Sequence[ServedMember], *, inputs: InputFacts, task: Task) -> WeightedStack:
    net = build_net(
        [member.model for member in members],
        inputs=inputs.of_members([member.fold for member in members]),
        n_outputs=task.n_outputs,
    ).float()
    names = members[0].weights
    net.load_state_dict({name: torch.stack([member.weights[name] for member in members]) for name in names})
    shares = torch.tensor([member.weight for member in members], dtype=torch.float32)
    learned = replace(task, loss=members[0].loss)
    return WeightedStack(net, shares, [member.fold for member in members], task=learned)
