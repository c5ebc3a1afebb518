"""The members of a stack from epoch to epoch: curves, best weights, who stops, who diverges, what each leaves.

Plain bookkeeping between epochs. Not here: the step (`module`), and taking members out of the net (`module`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.config.schema import MetricName, TrialConfig
from pipelines.stack.layers import member_weights
from pipelines.tasks.metrics import score, score_members
from pipelines.tasks.task import Task
from pipelines.training.divergence import describe_divergence
from pipelines.training.result import MemberResult
from pipelines.training.stopping import start_stopping


@dataclass(frozen=True)
class EpochReport:
    """What an epoch showed of every member, [K] each.

    Attributes:
        epoch: counted from 0.
        values: curve name -> values; `train/loss`, `validation/loss`, `validation/<metric>`, `learning_rate`.
        predictions: on the validation part, [K, N, P].
    """

    epoch: int
    values: Mapping[str, np.ndarray]
    predictions: Float[Tensor, "members rows predictions"]


class StackMembers:
    """Bookkeeping for the members that are in a stack, by their place in it.

    Args:
        trials: one a member, in the order of the stack.
        task: how members are scored.
        target: of the validation part: raw units, or class codes.
    """

    def __init__(self, trials: Sequence[TrialConfig], *, task: Task, target: Tensor) -> None:
        self._task = task
        self._target = target
        self._trial_of_place = np.arange(len(trials))
        self._stopping = start_stopping(
            [trial.stopping for trial in trials], max_epochs=[trial.trainer.max_epochs for trial in trials]
        )
        self._curves: list[dict[str, list[float]]] = [{} for _ in trials]
        self._best_weights: dict[str, Tensor] = {}
        self._best_predictions = torch.empty(0)
        self._results: dict[int, MemberResult] = {}
        self.training = np.ones(len(trials), dtype=bool)  # by place: still to be trained

    @property
    def results(self) -> list[MemberResult]:
        """What every trial left, in the order given; complete once no member trains."""
        return [self._results[trial] for trial in range(len(self._curves))]

    def observe(self, report: EpochReport, weights: Mapping[str, Tensor]) -> None:
        """Take in an epoch: keep the weights of members that improved, end those that stop or diverge.

        Args:
            report: of the epoch.
            weights: of the stack as they are now, [K, ...] each.
        """
        for place in np.flatnonzero(self.training).tolist():
            curves = self._curves[self._trial_of_place[place]]
            for name, values in report.values.items():
                curves.setdefault(name, []).append(float(values[place]))
        losses = report.values["train/loss"] + report.values["validation/loss"]
        diverged = self.training & ~np.isfinite(losses)
        scores = score(self._task.metric, 1.0) * report.values[f"validation/{self._task.metric}"]
        improved, stopped = self._stopping.observe(report.epoch, scores)
        self._keep_best(improved & self.training & ~diverged, weights, report.predictions)
        for place in np.flatnonzero(diverged).tolist():
            self._end(place, failure=self._why(place), metrics={})
        self._finish(np.flatnonzero(self.training & stopped & ~diverged))
        self.training &= ~(diverged | stopped)

    def take_(self, members: np.ndarray) -> None:
        """Forget all places but these; what they left is kept."""
        index = torch.from_numpy(members)
        self._trial_of_place = self._trial_of_place[members]
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
        metrics = score_members(self._task, self._best_predictions[index], self._target)
        for row, place in enumerate(places.tolist()):
            if self._stopping.best_epoch[place] < 0:
                self._end(place, failure=f"validation/{self._task.metric} never was a number.", metrics={})
            else:
                self._end(place, failure=None, metrics={name: float(values[row]) for name, values in metrics.items()})

    def _why(self, place: int) -> str:
        curves = self._curves[self._trial_of_place[place]]
        return describe_divergence(curves["train/loss"], learning_rate=curves["learning_rate"][-1])

    def _end(self, place: int, *, failure: str | None, metrics: Mapping[MetricName, float]) -> None:
        trial = int(self._trial_of_place[place])
        curves = self._curves[trial]
        failed = failure is not None
        self._results[trial] = MemberResult(
            failure=failure,
            epochs=len(curves["train/loss"]),
            best_epoch=int(self._stopping.best_epoch[place]),
            weights={} if failed else member_weights(self._best_weights, place),
            curves=curves,
            metrics=metrics,
            predictions=np.empty((0, 0)) if failed else self._best_predictions[place].cpu().numpy(),
        )
