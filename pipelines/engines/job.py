"""A stack to be trained from one epoch to another: what an engine is given, and what it gives back."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.config.schema import TrialConfig
from pipelines.training import StackState, UnreadableStateError, load_state


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
