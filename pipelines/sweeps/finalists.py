"""After training: the best trial, the ensemble, and which of the two is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.config.schema import EnsembleConfig, MetricName
from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError
from pipelines.export import Calibration, ServedMember, build_served, held_out_coverage
from pipelines.models import input_facts
from pipelines.selection.ensemble import Selection, best_member, choose_champion, greedy_ensemble, mean_ensemble
from pipelines.sweeps.run import TrialOutcome
from pipelines.tasks.metrics import score_members
from pipelines.tasks.task import Task

SHOWN_COVERAGE = 0.9  # of intervals and sets of labels; a caller of the served model chooses it


class NoModelError(UserError):
    """No trial on a table ended with a model."""


@dataclass(frozen=True)
class Finalist:
    """A model that may be served: a trial alone, or an ensemble.

    Attributes:
        selection: the weights, one an outcome, and validation scores.
        members: place among the outcomes -> weight in the average.
    """

    selection: Selection
    members: Mapping[int, float]

    @property
    def is_ensemble(self) -> bool:
        """More than one member takes part."""
        return len(self.members) > 1


@dataclass(frozen=True)
class Finalists:
    """What is left of a sweep.

    Attributes:
        best: the best trial.
        ensemble: None when none was asked for, or when it is one trial alone.
        champion: the better of the two on the validation part; a tie goes to the trial.
    """

    best: Finalist
    ensemble: Finalist | None
    champion: Finalist


def choose_finalists(
    outcomes: Sequence[TrialOutcome], config: EnsembleConfig, *, prepared: PreparedTable, task: Task
) -> Finalists:
    """Choose on the validation part.

    Raises:
        NoModelError: every trial failed; lists why.
    """
    places = [place for place, outcome in enumerate(outcomes) if outcome.result.failure is None]
    if not places:
        reasons = "\n".join(f"  {outcome.name}: {outcome.result.failure}" for outcome in outcomes[:5])
        failed = "The only trial" if len(outcomes) == 1 else f"All {len(outcomes)} trials"
        raise NoModelError(f"{failed} on {prepared.table.name} failed, so there is no model to serve:\n{reasons}")
    predictions = np.stack([outcomes[place].result.predictions for place in places])  # [K, N, P]
    target, parts = prepared.validation.target, [fold.held_out for fold in prepared.folds]
    best = _finalist(best_member(task, predictions, target, parts=parts), places)
    if config.kind in ("none", "bagging") or len(places) == 1:
        return Finalists(best, None, best)
    select = greedy_ensemble if config.kind == "greedy" else mean_ensemble
    ensemble = _finalist(select(task, predictions, target, max_members=config.max_members, parts=parts), places)
    if not ensemble.is_ensemble:
        return Finalists(best, None, best)
    wins = choose_champion(best.selection, ensemble.selection) is ensemble.selection
    return Finalists(best, ensemble, ensemble if wins else best)


def served_members(finalist: Finalist, outcomes: Sequence[TrialOutcome], task: Task) -> list[ServedMember]:
    """The finalist's members as the exporter takes them: of a trial all folds, each with its share of the weight."""
    served = []
    for place, weight in finalist.members.items():
        outcome = outcomes[place]
        members = outcome.result.members
        for fold, member in enumerate(members):
            name = f"{outcome.name} fold {fold}" if len(members) > 1 else outcome.name
            share = weight / len(members)
            loss = task.learned_by(outcome.trial.task).loss
            served.append(ServedMember(outcome.trial.model, loss, member.weights, share, outcome.run_id, name, fold))
    return served


def score_on_test(
    members: Sequence[ServedMember], *, prepared: PreparedTable, task: Task, calibration: Calibration | None
) -> tuple[dict[MetricName, float], dict[str, float]]:
    """The one look at the test part, for a model that is chosen and calibrated already.

    Returns:
        Its metrics, and what its intervals or sets of labels at a coverage of `SHOWN_COVERAGE` hold of it
        (`held_out_coverage`; nothing where no rows were set aside to calibrate on).
    """
    temperature = calibration.temperature if calibration else 1.0
    served = build_served(members, inputs=input_facts(prepared), task=task, temperature=temperature)
    predictions, target = served.predict(prepared.test.features), prepared.test.target
    metrics = score_members(task, torch.from_numpy(predictions)[None], torch.from_numpy(target))
    scores = {name: float(values[0]) for name, values in metrics.items()}
    if calibration is None:
        return scores, {}
    held = held_out_coverage(calibration, predictions, target, coverage=SHOWN_COVERAGE)
    return scores, {f"{name}_at_{100 * SHOWN_COVERAGE:.0f}": value for name, value in held.items()}


def _finalist(selection: Selection, places: Sequence[int]) -> Finalist:
    weights = {place: float(weight) for place, weight in zip(places, selection.weights, strict=True) if weight > 0}
    return Finalist(selection, weights)
