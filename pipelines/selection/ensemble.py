"""One model out of a sweep's members: a weighted average of their predictions, chosen on held-out rows.

Not here: the serving graph of an ensemble (`pipelines.export`), and scores on the test part.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Num
from torch import Tensor

from pipelines.config.schema import MetricName
from pipelines.errors import UserError
from pipelines.selection.scores import score_parts, tie_break_metric
from pipelines.tasks.metrics import members_at_once, score
from pipelines.tasks.task import Task

GREEDY_STEPS = 40  # as TabArena and AutoGluon; weights are multiples of one over the steps kept

Predictions = Float[np.ndarray, "members rows predictions"]
Target = Num[np.ndarray, " rows"]
Parts = Sequence[Int[np.ndarray, " _part"]]
Quality = tuple[float, float]  # the task's metric and the tie-break, greater is better, minus infinity if undefined


@dataclass(frozen=True)
class Selection:
    """Members and their weights, with what the average scores on the very rows it was chosen on.

    These scores are optimistic: the weights, and the members' best epochs before them, were fitted to the same
    rows. They serve to choose between selections; what is published is the score on the test part.

    Attributes:
        weights: one a member of the sweep, not negative, sum 1.
        metrics: every metric of the task on the selection rows; with folds the mean over what each holds out.
        score: the task's metric, greater is better.
    """

    weights: Float64[np.ndarray, " members"]
    metrics: Mapping[MetricName, float]
    score: float


def average_predictions(
    predictions: Predictions, weights: Float64[np.ndarray, " members"]
) -> Float[np.ndarray, "rows predictions"]:
    """Weighted average over members in the precision of the predictions; a member of weight 0 is not looked at."""
    average = np.zeros(predictions.shape[1:])
    for member in np.flatnonzero(weights):
        average += weights[member] * predictions[member]
    return average.astype(predictions.dtype)


def best_member(task: Task, predictions: Predictions, target: Target, *, parts: Parts = ()) -> Selection:
    """The single best member; for the arguments see `greedy_ensemble`.

    Raises:
        UserError: no member predicts finite numbers.
    """
    return mean_ensemble(task, predictions, target, max_members=1, parts=parts)


def mean_ensemble(
    task: Task, predictions: Predictions, target: Target, *, max_members: int, parts: Parts = ()
) -> Selection:
    """The uniform mean over the `max_members` best members, of equals the first; for the arguments `greedy_ensemble`.

    Raises:
        UserError: no member predicts finite numbers.
    """
    held_out = _held_out(task, predictions, target, parts)
    members = held_out.finite_members()
    qualities = held_out.qualities(members, total=held_out.nothing(), step=1)
    best_first = sorted(members, key=lambda member: qualities[member], reverse=True)
    return held_out.selection(best_first[:max_members])


def greedy_ensemble(
    task: Task, predictions: Predictions, target: Target, *, max_members: int, parts: Parts = ()
) -> Selection:
    """Greedy forward selection with replacement (Caruana et al. 2004).

    Each of 40 steps adds the member, new or already there, whose addition makes the average best; the best prefix
    of the steps is kept. The first step is the single best member, so on these rows the ensemble is never worse
    than it. Equal additions prefer a member that is already there, then the lower number.

    Args:
        task: its metric is maximised; equal values are parted by log loss or RMSE.
        predictions: of all members on the same held-out rows; members with NaN or infinity are passed over.
        target: raw values, or class codes, of these rows.
        max_members: how many distinct members may take part.
        parts: places of the rows that each fold holds out; scores are then the mean over folds. None for one part.

    Raises:
        UserError: no member predicts finite numbers.
    """
    held_out = _held_out(task, predictions, target, parts)
    members = held_out.finite_members()
    total = held_out.nothing()
    path: list[int] = []
    path_qualities: list[Quality] = []
    for step in range(1, GREEDY_STEPS + 1):
        used = set(path)
        candidates = members if len(used) < max_members else sorted(used)
        qualities = held_out.qualities(candidates, total=total, step=step)
        chosen = max(candidates, key=lambda member: (qualities[member], member in used, -member))
        path.append(chosen)
        path_qualities.append(qualities[chosen])
        total += predictions[chosen]
    kept = path_qualities.index(max(path_qualities)) + 1
    return held_out.selection(path[:kept])


def choose_champion(trial: Selection, ensemble: Selection) -> Selection:
    """The better of the best trial and an ensemble; a tie, to rounding error, goes to the trial: it is simpler."""
    tied = math.isclose(ensemble.score, trial.score, rel_tol=1e-9, abs_tol=1e-12)
    return ensemble if ensemble.score > trial.score and not tied else trial


@dataclass(frozen=True)
class _HeldOut:
    """Every member's predictions on the rows that members are chosen on."""

    task: Task
    predictions: Predictions
    target: Num[Tensor, " rows"]
    parts: Sequence[Int[Tensor, " _part"]]

    def finite_members(self) -> list[int]:
        """Those whose predictions all are finite numbers.

        Raises:
            UserError: there are none.
        """
        members = [member for member, values in enumerate(self.predictions) if np.isfinite(values).all()]
        if not members:
            raise UserError(
                f"None of the {len(self.predictions)} trials predicts finite numbers, so there is no model to choose. "
                "Lower optimizer.lr."
            )
        return members

    def nothing(self) -> Float64[np.ndarray, "rows predictions"]:
        """The sum of no predictions."""
        return np.zeros(self.predictions.shape[1:])

    def qualities(
        self, members: Sequence[int], *, total: Float64[np.ndarray, "rows predictions"], step: int
    ) -> dict[int, Quality]:
        """Of the averages of `step` predictions: those summed in `total` and, for each of `members`, its own."""
        at_once = members_at_once(total.size)
        metrics = (self.task.metric, tie_break_metric(self.task))
        qualities: dict[int, Quality] = {}
        for first in range(0, len(members), at_once):
            chunk = members[first : first + at_once]
            # Rounded to the members' precision, for log loss clips probabilities by it: one ruler for all.
            averages = ((total + self.predictions[chunk]) / step).astype(self.predictions.dtype)
            values = score_parts(self.task, torch.from_numpy(averages), self.target, self.parts, metrics)
            scores = [score(metric, values[metric]).nan_to_num(nan=-math.inf).tolist() for metric in metrics]
            qualities.update(zip(chunk, zip(*scores, strict=True), strict=True))
        return qualities

    def selection(self, members: Sequence[int]) -> Selection:
        """Give every occurrence in `members` the same weight."""
        weights = np.bincount(members, minlength=len(self.predictions)) / len(members)
        average = torch.from_numpy(average_predictions(self.predictions, weights))
        values = score_parts(self.task, average[None], self.target, self.parts)
        metrics = {metric: value.item() for metric, value in values.items()}
        return Selection(weights=weights, metrics=metrics, score=score(self.task.metric, metrics[self.task.metric]))


def _held_out(task: Task, predictions: Predictions, target: Target, parts: Parts) -> _HeldOut:
    return _HeldOut(task, predictions, torch.tensor(target), [torch.from_numpy(part) for part in parts])
