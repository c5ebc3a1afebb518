"""What an engine is given: a stack, from which epoch to which, and where it is kept on the way."""

import gc
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exc
from typing import Any

import numpy as np
import torch

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError
from pipelines.garbage import only_new_garbage
from pipelines.tasks.task import Task
from pipelines.training import Checkpoint, MemberResult, ProgressLine, StackState, load_state, train_stack
from pipelines.training.state import UnreadableStateError, untrained


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
        lost: members, by number, that would have trained on, had not their process or machine died, or the stack raised
            an error.
        traceback: of that error, for whoever looks for a defect.
        is_too_large: memory was short: as smaller stacks the lost members may train.
    """

    number: int
    state: StackState
    seconds: float
    lost: frozenset[int] = frozenset()
    traceback: str = ""
    is_too_large: bool = False


def run_job(job: StackJob, prepared: PreparedTable, task: Task) -> DoneJob:
    """Train here and now, and keep the outcome."""
    started = time.perf_counter()
    if _is_done(job) and job.state is not None:
        return DoneJob(job.number, job.state, 0.0)
    keeping = job.keeping
    checkpoint = None if keeping is None else Checkpoint(keeping.path, keeping.every_seconds, keeping.note)
    with only_new_garbage():
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
        # Lightning's objects hold each other, and with them the stack: without this it would stay beside the next one.
        gc.collect()
    if checkpoint is not None:
        checkpoint.write(state)
    return DoneJob(job.number, state, time.perf_counter() - started)


def resumed(job: StackJob) -> StackJob:
    """The same job from where its file is, for a process or a machine that died on the way."""
    keeping = job.keeping
    if keeping is None or not keeping.path.exists():
        return job
    with suppress(UnreadableStateError):
        state, note = load_state(keeping.path)
        return replace(job, state=state) if note == dict(keeping.note) else job
    return job


def folder_number(job: StackJob) -> int | None:
    """What the file system calls the folder that a stack is kept in: elsewhere, one of the same path is another."""
    folder = None if job.keeping is None else job.keeping.path.parent
    return folder.stat().st_ino if folder is not None and folder.is_dir() else None


def where_its_folder_is(job: StackJob, folder: int | None) -> StackJob:
    """The same job on whatever machine this is: from its file where its folder is here, and else kept nowhere.

    Args:
        job: with the whole path of its file.
        folder: number of its folder where the job comes from.
    """
    if folder is None or folder_number(job) != folder:
        return replace(job, keeping=None)
    return resumed(job)


def _is_done(job: StackJob) -> bool:
    """Whether the stack was kept already as it is to end: only its answer was lost."""
    state, until = job.state, job.until_epoch
    return state is not None and (not state.members or (until is not None and state.epoch >= until))


def run_or_fail(job: StackJob, prepared: PreparedTable, task: Task) -> DoneJob:
    """`run_job`; a stack that raises an error fails alone, so that all others train.

    Raises:
        UserError: something that concerns all stacks alike, as a device that is not there.
    """
    try:
        return run_job(job, prepared, task)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a user's net may raise anything; a defect of ours is seen in the traceback
        reason, traceback = _describe(error, len(job.trials)), format_exc()
        is_too_large = _is_out_of_memory(error)
    gc.collect()  # with the error goes the stack that it held
    torch.cuda.empty_cache()
    return lost_job(job, reason=reason, traceback=traceback, is_too_large=is_too_large)


def lost_job(job: StackJob, *, reason: str, traceback: str = "", is_too_large: bool = False) -> DoneJob:
    """A stack that nothing more is known of: its trials that still trained fail for this reason."""
    before = job.state or untrained(job.trials)
    results = {
        place: MemberResult(
            failure=reason,
            epochs=len(before.curves[place].get("train/loss", ())),
            best_epoch=-1,
            weights={},
            curves=before.curves[place],
            metrics={},
            predictions=np.empty((0, 0)),
        )
        for place in before.members
    }
    after = StackState(
        epoch=before.epoch,
        members=(),
        curves=before.curves,
        results={**before.results, **results},
        stopping=before.stopping.take(np.empty(0, dtype=np.int64)),
    )
    return DoneJob(job.number, after, 0.0, frozenset(before.members), traceback, is_too_large)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _describe(error: Exception, n_trials: int) -> str:
    """In one line."""
    text = next(iter(str(error).strip().splitlines()), "")
    if _is_out_of_memory(error):
        if n_trials == 1:
            return f"Out of memory with 1 trial in its stack ({text}). Try a smaller net or trainer.batch_size."
        return (
            f"Out of memory with {n_trials} trials in one stack ({text}). Try a smaller engine.memory_gb, that "
            "divides it: the same command trains what failed again, and that alone."
        )
    return f"Training its stack raised {type(error).__name__}: {text}"


def _line(job: StackJob, task: Task) -> ProgressLine:
    longest = max(trial.trainer.max_epochs for trial in job.trials)
    last_epoch = longest if job.until_epoch is None else min(longest, job.until_epoch)
    return ProgressLine(f"stack {job.number}", last_epoch=last_epoch, metric=task.metric)
