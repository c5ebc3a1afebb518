"""Which trials of a sweep compete: those on one table, by one metric of one task, whatever else they differ in."""

import json
from collections.abc import Sequence
from typing import Literal

from pipelines.config.schema import TaskKind, TrialConfig
from pipelines.config.scopes import without
from pipelines.errors import UserError
from pipelines.tasks.task import Task, ranking_metric


def places_by_table(trials: Sequence[TrialConfig]) -> dict[str, list[int]]:
    """Places of the trials on one table, by a key of it, in the order in which tables appear."""
    groups: dict[str, list[int]] = {}
    for place, trial in enumerate(trials):
        groups.setdefault(json.dumps(without(trial.data)), []).append(place)
    return groups


def check_one_ranking(
    trials: Sequence[TrialConfig], task: Task, *, task_kind: TaskKind | Literal["auto"], name: str
) -> None:
    """See that trials on a table can be ranked with the others on it.

    Args:
        trials: all or some of them.
        task: that the table has.
        task_kind: as the first trial asked for it.
        name: of the table.

    Raises:
        UserError: a trial asks for another task or metric, or for what this kind of task does not have.
    """
    for trial in trials:
        task.learned_by(trial.task)
        if trial.task.kind != task_kind:
            raise UserError(
                f"The trials on {name} are of two tasks: task={task_kind} and task={trial.task.kind}. Give one: "
                "trials on a table are ranked together."
            )
        metric = ranking_metric(trial.task, task.kind)
        if metric != task.metric:
            raise UserError(
                f"The trials on {name} are ranked by two metrics: {task.metric} and, with task.loss={trial.task.loss} "
                f"and task.metric={trial.task.metric}, {metric}. Give one task.metric for all of them."
            )
