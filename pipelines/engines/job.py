"""What an engine is given: a stack, from which epoch to which, and where it is kept on the way."""

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.tasks.task import Task
from pipelines.training import Checkpoint, ProgressLine, StackState, train_stack


@dataclass(frozen=True)
class Keeping:
    """Where a stack is kept while it trains.

    Attributes:
        path: of its file.
        every_seconds: least time between two writes.
        note: kept beside the state.
    """

    path: Path
    every_seconds: float
    note: Mapping[str, Any]


@dataclass(frozen=True)
class StackJob:
    """A stack to be trained for a while.

    Attributes:
        number: of the stack in its sweep.
        trials: of one architecture.
        state: where to go on; None to begin.
        ended: places of trials that train no further.
        until_epoch: where to pause; None trains every member to its own end.
        keeping: None keeps nothing.
        shows_progress: on the terminal of the process that trains it.
    """

    number: int
    trials: Sequence[TrialConfig]
    state: StackState | None = None
    ended: frozenset[int] = frozenset()
    until_epoch: int | None = None
    keeping: Keeping | None = None
    shows_progress: bool = False


@dataclass(frozen=True)
class DoneJob:
    """A stack that has ended or paused.

    Attributes:
        number: of the stack.
        state: as it is now.
        seconds: that it trained.
        lost: members, by number, that would have trained on, had not their process or machine died.
    """

    number: int
    state: StackState
    seconds: float
    lost: frozenset[int] = frozenset()


def run_job(job: StackJob, prepared: PreparedTable, task: Task) -> DoneJob:
    """Train here and now, and keep the outcome."""
    started = time.perf_counter()
    keeping = job.keeping
    checkpoint = None if keeping is None else Checkpoint(keeping.path, keeping.every_seconds, keeping.note)
    state = train_stack(
        job.trials,
        prepared,
        task,
        state=job.state,
        ended=job.ended,
        until_epoch=job.until_epoch,
        checkpoint=checkpoint,
        progress=_line(job, task) if job.shows_progress else None,
    )
    if checkpoint is not None:
        checkpoint.write(state)
    # Lightning's objects hold each other, and with them the stack: without this it would stay beside the next one.
    gc.collect()
    return DoneJob(job.number, state, time.perf_counter() - started)


def _line(job: StackJob, task: Task) -> ProgressLine:
    longest = max(trial.trainer.max_epochs for trial in job.trials)
    last_epoch = longest if job.until_epoch is None else min(longest, job.until_epoch)
    return ProgressLine(f"stack {job.number}", last_epoch=last_epoch, metric=task.metric)
