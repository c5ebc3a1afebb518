"""What every engine is: it trains stacks, some of them side by side, and hands over each as soon as it is done."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from pipelines.data.prepare import PreparedTable
from pipelines.engines.job import DoneJob, StackJob
from pipelines.tasks.task import Task
from pipelines.training import MemberResult, StackState
from pipelines.training.state import untrained


@runtime_checkable
class Engine(Protocol):
    """Where stacks train."""

    @property
    def n_places(self) -> int:
        """How many stacks train side by side."""
        ...

    @property
    def device(self) -> torch.device:
        """On which this process measures what a stack costs: one like those that stacks train on, if it has one."""
        ...

    def free_bytes(self) -> int:
        """Memory that a stack finds free while all places have one; asked before any trains."""
        ...

    def run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        """Train stacks, begun in the order given; yield each as soon as it is done, in any order.

        A stack whose process or machine is lost again and again ends, its trials with a reason and without a model;
        what was kept of it stays. An error that a stack itself raises ends the run.
        """
        ...


def lost_job(job: StackJob, *, reason: str) -> DoneJob:
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
    return DoneJob(job.number, after, 0.0, frozenset(before.members))
