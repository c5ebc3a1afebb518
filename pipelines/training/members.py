"""The members of a stack from epoch to epoch: curves, best weights, who stops, who diverges, what each leaves.

Plain bookkeeping between epochs. Not here: the step (`module`), and taking members out of the net (`module`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.config.schema import MetricName
from pipelines.stack.layers import member_weights
from pipelines.tasks.metrics import sign
from pipelines.tasks.task import Task
from pipelines.training.divergence import OTHER_FOLD_DIVERGED, describe_divergence
from pipelines.training.held_out import HeldOut
from pipelines.training.result import MemberResult
from pipelines.training.state import StackState


@dataclass(frozen=True)
class EpochReport:
    """What an epoch showed of every member, [K] each.

    Attributes:
        epoch: counted from 0.
        values: curve name -> values; `train/loss`, `validation/loss`, `validation/<metric>`, and
            `learning_rate`: of the epoch's last step.
        predictions: on the validation part, [K, N, P].
    """

    epoch: int
    values: Mapping[str, np.ndarray]
    predictions: Float[Tensor, "members rows predictions"]


def is_half_gone(n_training: int, n_members: int) -> bool:
    """Whether those of a stack's members that have ended leave it: to drop them copies all others."""
    return 2 * n_training <= n_members


class StackMembers:
    """Bookkeeping for the members that are in a stack, by their place in it.

    Args:
        state: where training goes on from.
        task: how members are scored.
        held_out: the rows that they are scored on.
        device: of the stack.
    """

    def __init__(self, state: StackState, *, task: Task, held_out: HeldOut, device: torch.device) -> None:
        self._task = task
        self._held_out = held_out
        self._number_of_place = np.array(state.members, dtype=np.int64)
        self._n_folds = len(held_out.raw_targets)
        self._stopping = state.stopping
        self._curves = [{name: list(values) for name, values in curves.items()} for curves in state.curves]
        self._best_weights = {name: weights.to(device) for name, weights in state.best_weights.items()}
        self._best_predictions = state.best_predictions.to(device)
        self._results = dict(state.results)
        self.training = np.ones(len(state.members), dtype=bool)  # by place: still to be trained

    def state(self, epoch: int, *, weights: Mapping[str, Tensor], optimizer: Mapping[str, Any]) -> StackState:
        """The stack after `epoch` epochs; members that have ended must have left it (`take_`).

        Args:
            epoch: how many are done.
            weights: of the members, as they are now.
            optimizer: the plain state of theirs.
        """
        return StackState(
            epoch=epoch,
            members=tuple(self._number_of_place.tolist()),
            curves=tuple({name: list(values) for name, values in curves.items()} for curves in self._curves),
            results=dict(self._results),
            stopping=self._stopping.take(np.arange(len(self._number_of_place))),
            weights=_on_cpu(weights),
            optimizer=_on_cpu(optimizer),
            best_weights=_on_cpu(self._best_weights),
            best_predictions=_on_cpu(self._best_predictions),
        )

    def observe(self, report: EpochReport, weights: Mapping[str, Tensor]) -> None:
        """Take in an epoch: keep the weights of members that improved, end those that stop or diverge.

        Args:
            report: of the epoch.
            weights: of the stack as they are now, [K, ...] each.
        """
        for place in np.flatnonzero(self.training).tolist():
            curves = self._curves[self._number_of_place[place]]
            for name, values in report.values.items():
                curves.setdefault(name, []).append(float(values[place]))
        losses = report.values["train/loss"] + report.values["validation/loss"]
        diverged = self.training & ~np.isfinite(losses)
        scores = self.scores(report)
        improved, stopped = self._stopping.observe(report.epoch, scores)
        self._keep_best(improved & self.training & ~diverged, weights, report.predictions)
        for place in np.flatnonzero(diverged).tolist():
            self._end(place, failure=self._why(place), metrics={})
        of_failed = np.isin(self._trial_of_place, self._trial_of_place[diverged]) & self.training & ~diverged
        for place in np.flatnonzero(of_failed).tolist():
            self._end(place, failure=OTHER_FOLD_DIVERGED, metrics={})
        self._finish(np.flatnonzero(self.training & stopped & ~diverged & ~of_failed))
        self.training &= ~(diverged | stopped | of_failed)

    def scores(self, report: EpochReport) -> np.ndarray:
        """Of every member in the stack, [K], by the primary metric; greater is better."""
        return sign(self._task.metric) * report.values[f"validation/{self._task.metric}"]

    def end(self, trials: Collection[int]) -> None:
        """End these trials now, with the best that they had: others were better."""
        places = np.flatnonzero(np.isin(self._trial_of_place, list(trials)) & self.training)
        self._finish(places)
        self.training[places] = False

    @property
    def _trial_of_place(self) -> np.ndarray:
        return self._number_of_place // self._n_folds

    def take_(self, members: np.ndarray) -> None:
        """Forget all places but these; what they left is kept."""
        index = torch.from_numpy(members)
        self._number_of_place = self._number_of_place[members]
        self._stopping = self._stopping.take(members)
        self._best_weights = {name: tensor[index] for name, tensor in self._best_weights.items()}
        self._best_predictions = self._best_predictions[index]
        self.training = self.training[members]

    def _keep_best(self, improved: np.ndarray, weights: Mapping[str, Tensor], predictions: Tensor) -> None:
        if not self._best_weights:
            self._best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
            self._best_predictions = predictions.clone()
            return
        places = torch.from_numpy(np.flatnonzero(improved)).to(predictions.device)
        for name, tensor in weights.items():
            self._best_weights[name][places] = tensor.detach()[places]
        self._best_predictions[places] = predictions[places]

    def _finish(self, places: np.ndarray) -> None:
        if not len(places):
            return
        index = torch.from_numpy(places)
        folds = [self._held_out.folds.places[place] for place in places.tolist()]
        metrics = self._held_out.metrics(self._best_predictions[index], folds)
        for row, place in enumerate(places.tolist()):
            if self._stopping.best_epoch[place] < 0:
                self._end(place, failure=f"validation/{self._task.metric} never was a number.", metrics={})
            else:
                self._end(place, failure=None, metrics={name: float(values[row]) for name, values in metrics.items()})

    def _why(self, place: int) -> str:
        curves = self._curves[self._number_of_place[place]]
        return describe_divergence(
            curves["train/loss"], curves["validation/loss"], learning_rate=curves["learning_rate"][-1]
        )

    def _end(self, place: int, *, failure: str | None, metrics: Mapping[MetricName, float]) -> None:
        number = int(self._number_of_place[place])
        curves = self._curves[number]
        failed = failure is not None
        self._results[number] = MemberResult(
            failure=failure,
            epochs=len(curves["train/loss"]),
            best_epoch=int(self._stopping.best_epoch[place]),
            weights={} if failed else member_weights(self._best_weights, place),
            curves=curves,
            metrics=metrics,
            predictions=np.empty((0, 0)) if failed else self._own_predictions(place),
        )

    def _own_predictions(self, place: int) -> np.ndarray:
        predictions = self._held_out.own(self._best_predictions[place], self._held_out.folds.places[place])
        return predictions.cpu().numpy().copy()


def _on_cpu(value: Any) -> Any:
    """Copies of all tensors inside, on the CPU: training goes on in those it has."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {name: _on_cpu(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_on_cpu(inner) for inner in value]
    return value
