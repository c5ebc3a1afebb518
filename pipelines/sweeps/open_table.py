"""From a data and a task configuration to a table that is ready to train on."""

from collections.abc import Sequence

import numpy as np
import torch

from pipelines.config.schema import DataConfig, LossName, TaskConfig
from pipelines.data.prepare import Part, PreparedTable, prepare_table
from pipelines.errors import UserError
from pipelines.tasks.metrics import score_members
from pipelines.tasks.task import Task, make_task


def open_table(data: DataConfig, task: TaskConfig) -> tuple[PreparedTable, Task]:
    """Read, divide and encode the table, and settle what is predicted.

    Raises:
        UserError: something about the file, a column or the task that the user can put right.
    """
    prepared = prepare_table(data, task.kind)
    target = prepared.table.target
    rows_of_folds = [fold.train for fold in prepared.folds]
    made = make_task(
        task,
        kind=target.kind,
        classes=target.classes,
        train_target=prepared.train.target,
        rows_of_folds=rows_of_folds,
    )
    check_metric(prepared, made)
    return prepared, made


def check_metric(prepared: PreparedTable, task: Task) -> None:
    """Raise a UserError where rows leave the task's metric undefined, as ROC AUC where a class is absent.

    Found out by scoring one answer to all rows, before any trial is trained that could not be ranked.
    """
    parts = {f"fold {number}": fold.held_out for number, fold in enumerate(prepared.folds)}
    parts = parts or {"the validation part": np.arange(len(prepared.validation.rows))}
    for name, rows in parts.items():
        target = torch.from_numpy(prepared.validation.target[rows])
        alike = torch.full((1, len(rows), task.n_predictions), 1 / task.n_predictions, dtype=torch.float64)
        if score_members(task, alike, target, [task.metric])[task.metric].isnan().any():
            raise UserError(
                f"task.metric={task.metric} is undefined on the {len(rows)} rows of {name}: "
                f"{'a class is absent from them' if task.classes else 'they are too few'}. Use another task.metric, "
                f"{'fewer folds (data.folds)' if prepared.folds else 'a larger data.validation_fraction'}, or another "
                "data.split_seed."
            )


def describe_table(prepared: PreparedTable, task: Task, *, losses: Sequence[LossName]) -> str:
    """What a user reads of a table that is open: its rows and parts, what is predicted, and why.

    Args:
        prepared: the table.
        task: what is predicted.
        losses: by which the trials learn it.
    """
    table = prepared.table
    n_folds = len(prepared.folds)
    named: list[tuple[str, Part | None]] = [("train", prepared.train), ("validation", prepared.validation)]
    if n_folds:
        named = [(f"in {n_folds} folds", prepared.train)]
    named += [("calibration", prepared.calibration), ("test", prepared.test)]
    parts = ", ".join(f"{len(part.rows):,} {name}" for name, part in named if part is not None)
    return (
        f"{table.name}: {len(table.target_values):,} rows, {len(table.columns)} columns ({parts})\n"
        f"  task {table.target.reason}; loss {' or '.join(dict.fromkeys(losses))}, metric {task.metric}"
    )
