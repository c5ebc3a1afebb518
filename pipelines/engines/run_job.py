"""Trains a job in this process. A stack that raises an error fails alone, with a reason for each of its trials."""

import gc
import time
from traceback import format_exc

import numpy as np
import torch

from pipelines.data.prepare import PreparedTable
from pipelines.engines.job import DoneJob, StackJob
from pipelines.errors import UserError
from pipelines.garbage import only_new_garbage
from pipelines.tasks.task import Task
from pipelines.training import Checkpoint, MemberResult, ProgressLine, StackState, train_stack
from pipelines.training.state import untrained


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
        reason, traceback = _reason(error, len(job.trials)), format_exc()
        is_too_large = _is_out_of_memory(error)
    gc.collect()  # with the error goes the stack that it held
    torch.cuda.empty_cache()
    return lost_job(job, reason=reason, traceback=traceback, is_too_large=is_too_large)


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
            progress=_progress_line(job, task) if job.shows_progress else None,
        )
        # Lightning's objects hold each other, and with them the stack: without this it would stay beside the next one.
        gc.collect()
    if checkpoint is not None:
        checkpoint.write(state)
    return DoneJob(job.number, state, time.perf_counter() - started)


def _is_done(job: StackJob) -> bool:
    """Whether the stack was kept already as it is to end: only its answer was lost."""
    state, until = job.state, job.until_epoch
    return state is not None and (not state.members or (until is not None and state.epoch >= until))


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


def _reason(error: Exception, n_trials: int) -> str:
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


def _progress_line(job: StackJob, task: Task) -> ProgressLine:
    longest = max(trial.trainer.max_epochs for trial in job.trials)
    last_epoch = longest if job.until_epoch is None else min(longest, job.until_epoch)
    return ProgressLine(f"stack {job.number}", last_epoch=last_epoch, metric=task.metric)
