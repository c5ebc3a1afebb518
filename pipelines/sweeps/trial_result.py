"""What a trial leaves: of its one member, or of the members of all its folds together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.config.schema import MetricName
from pipelines.data.prepare import PreparedTable
from pipelines.training import OTHER_FOLD_DIVERGED, MemberResult


@dataclass(frozen=True)
class TrialResult:
    """A trial when its stack has ended.

    Attributes:
        members: one, or one a fold.
        failure: why it has no model, of the first fold that failed; None when every member has one.
        metrics: every metric of the task on the validation part; with folds the mean over what each holds out.
        predictions: on the validation part, by the member that held the row out, [N, P]. Empty on failure.
        deviations: with folds the standard deviation of each metric over them, with n - 1; else empty.
        is_lost: it failed by no doing of its own, and may end well when it is trained again.
    """

    members: Sequence[MemberResult]
    failure: str | None
    metrics: Mapping[MetricName, float]
    predictions: np.ndarray
    deviations: Mapping[MetricName, float] = field(default_factory=dict)
    is_lost: bool = False

    @property
    def standard_errors(self) -> dict[MetricName, float]:
        """Of each metric's mean over folds; empty without folds."""
        return {name: value / len(self.members) ** 0.5 for name, value in self.deviations.items()}

    @property
    def epochs(self) -> float:
        """How many it trained, the mean over its members."""
        return float(np.mean([member.epochs for member in self.members]))

    @property
    def best_epoch(self) -> float:
        """From which its weights are, counted from 0, the mean over its members."""
        return float(np.mean([member.best_epoch for member in self.members]))

    @property
    def curves(self) -> dict[str, list[float]]:
        """Curve name -> one value an epoch, the mean over members; one that has ended keeps its last value."""
        names = self.members[0].curves
        return {name: _mean_curve([member.curves[name] for member in self.members]) for name in names}


def trial_result(members: Sequence[MemberResult], prepared: PreparedTable) -> TrialResult:
    """Put a trial's members together.

    Args:
        members: one, or one a fold of the table, in their order.
        prepared: the table.
    """
    if not prepared.folds:
        (member,) = members
        return TrialResult(members, member.failure, member.metrics, member.predictions)
    failed = [fold for fold, member in enumerate(members) if member.failure not in (None, OTHER_FOLD_DIVERGED)]
    if failed:
        return TrialResult(members, f"Fold {failed[0]}: {members[failed[0]].failure}", {}, np.empty((0, 0)))
    values = {name: [member.metrics[name] for member in members] for name in members[0].metrics}
    return TrialResult(
        members,
        failure=None,
        metrics={name: float(np.mean(of_folds)) for name, of_folds in values.items()},
        predictions=_out_of_fold(members, prepared),
        deviations={name: float(np.std(of_folds, ddof=1)) for name, of_folds in values.items()},
    )


def _out_of_fold(members: Sequence[MemberResult], prepared: PreparedTable) -> np.ndarray:
    first = members[0].predictions
    predictions = np.empty((len(prepared.validation.rows), first.shape[1]), dtype=first.dtype)
    for fold, member in zip(prepared.folds, members, strict=True):
        predictions[fold.held_out] = member.predictions
    return predictions


def _mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    longest = max(len(curve) for curve in curves)
    filled = np.array(
        [[*curve, *[curve[-1]] * (longest - len(curve))] if curve else [np.nan] * longest for curve in curves]
    )
    return [float(value) for value in filled.mean(axis=0)]
