"""The rows that every epoch ends with: the validation part, or of each member the rows that its fold holds out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch import Tensor

from pipelines.axes import PerMember
from pipelines.config.schema import MetricName
from pipelines.data.prepare import PreparedTable
from pipelines.tasks.losses import member_loss
from pipelines.tasks.metrics import score_members
from pipelines.tasks.task import Task
from pipelines.training.batches import Batch, DeviceRows
from pipelines.training.folds import MemberFolds

Predictions = Float[Tensor, "members rows predictions"]


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows on the device, one slice a fold; a fold with fewer rows repeats its last one, unscored.

    Attributes:
        rows: [folds, N], N of the largest fold; target as the loss wants it.
        raw_targets: of each fold's own rows: raw units, or class codes.
        folds: of the members.
        task: how members are scored.
    """

    rows: Batch
    raw_targets: Sequence[Num[Tensor, " _own"]]
    folds: MemberFolds
    task: Task

    def batches(self, *, batch_size: int) -> "HeldOutBatches":
        """For evaluation, consecutive."""
        return HeldOutBatches(self, batch_size)

    def losses(self, outputs: Float[Tensor, "members rows outputs"]) -> PerMember:
        """Of every member in the stack, over its own rows."""
        values = outputs.new_empty(len(outputs))
        weights = self.folds.class_weights
        for fold, members in self._by_fold(self.folds.places):
            of_fold = outputs if len(members) == len(outputs) else outputs[members]
            n_rows = len(self.raw_targets[fold])
            target = self.rows.target[fold, None, :n_rows]
            losses = member_loss(
                self.task.of_fold(fold),
                of_fold[:, :n_rows],
                target,
                class_weights=None if weights is None else weights[members],
            )
            values[members] = losses.to(values.dtype)
        return values

    def metrics(
        self, predictions: Predictions, folds: Sequence[int], metrics: Sequence[MetricName] | None = None
    ) -> dict[MetricName, PerMember]:
        """Metrics, float64, of members of these folds, each on its own rows; all of the task's by default."""
        values: dict[MetricName, Tensor] = {}
        for fold, members in self._by_fold(folds):
            target = self.raw_targets[fold]
            of_fold = predictions if len(members) == len(predictions) else predictions[members]
            for name, scored in score_members(self.task, of_fold[:, : len(target)], target, metrics).items():
                values.setdefault(name, scored.new_empty(len(predictions)))[members] = scored
        return values

    def own(self, predictions: Float[Tensor, "rows predictions"], fold: int) -> Float[Tensor, "own predictions"]:
        """A member's predictions without what was repeated."""
        return predictions[: len(self.raw_targets[fold])]

    def _by_fold(self, folds: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        for fold in sorted(set(folds)):
            yield fold, [member for member, of_member in enumerate(folds) if of_member == fold]


class HeldOutBatches:
    """Consecutive batches, in one slice that all members share, or in one a member where their folds differ."""

    def __init__(self, held_out: HeldOut, batch_size: int) -> None:
        self._held_out = held_out
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(self._held_out.rows.target.shape[1] / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows, places = self._held_out.rows, self._held_out.folds.places
        folds = places[:1] if len(set(places)) == 1 else places
        for start in range(0, rows.target.shape[1], self._batch_size):
            place = slice(start, start + self._batch_size)
            slices = slice(None) if len(rows.target) == 1 else folds
            yield Batch(*(values[slices, place] for values in (rows.numbers, rows.codes, rows.target)))


def hold_out(
    prepared: PreparedTable, rows: DeviceRows, *, folds: MemberFolds, task: Task, device: torch.device
) -> HeldOut:
    """The held-out rows of a table.

    Args:
        prepared: the table.
        rows: its validation part on the device; with folds, of one fold after the other.
        folds: of the members.
        task: how they are scored.
        device: of the stack.
    """
    raw = torch.from_numpy(prepared.validation.target)
    if device.type != "mps":  # metrics need float64, which it lacks
        raw = raw.to(device)
    if not prepared.folds:
        return HeldOut(Batch(rows.numbers[None], rows.codes[None], rows.target[None]), [raw], folds, task)
    held_out = [torch.from_numpy(fold.held_out) for fold in prepared.folds]
    longest = max(len(of_fold) for of_fold in held_out)
    n_rows = len(prepared.validation.rows)
    filled = [torch.cat([of_fold, of_fold[-1:].expand(longest - len(of_fold))]) for of_fold in held_out]
    places = torch.stack([fold * n_rows + of_fold for fold, of_fold in enumerate(filled)]).to(device)
    slices = Batch(rows.numbers[places], rows.codes[places], rows.target[places])
    return HeldOut(slices, [raw[of_fold.to(raw.device)] for of_fold in held_out], folds, task)
