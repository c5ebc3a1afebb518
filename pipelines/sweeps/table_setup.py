"""What all batches of trials on one table have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.data.prepare import PreparedTable
from pipelines.engines import Engine
from pipelines.sweeps.folder import SweepFolder
from pipelines.tasks.task import Task
from pipelines.tracking.recorder import Recorder


@dataclass(frozen=True)
class TableSetup:
    """A table, what is predicted, and where trials on it are trained, kept and recorded.

    Attributes:
        prepared: the table, read once.
        task: what is predicted; a trial learns it by its own loss.
        engine: trains the stacks.
        folder: keeps the stacks.
        recorder: keeps the runs.
        tags: of every run.
    """

    prepared: PreparedTable
    task: Task
    engine: Engine
    folder: SweepFolder
    recorder: Recorder
    tags: Mapping[str, str]
