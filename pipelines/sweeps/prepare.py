"""From a data and a task configuration to a table that is ready to train on."""

from pipelines.config.schema import DataConfig, TaskConfig
from pipelines.data.prepare import PreparedTable, prepare_table
from pipelines.tasks.task import Task, make_task


def prepare(data: DataConfig, task: TaskConfig) -> tuple[PreparedTable, Task]:
    """Read, divide and encode the table, and settle what is predicted.

    Raises:
        UserError: something about the file, a column or the task that the user can put right.
    """
    prepared = prepare_table(data, task.kind)
    target = prepared.table.target
    rows_of_folds = [fold.train for fold in prepared.folds]
    return prepared, make_task(
        task,
        kind=target.kind,
        classes=target.classes,
        train_target=prepared.train.target,
        rows_of_folds=rows_of_folds,
    )
