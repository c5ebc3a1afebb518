"""The engine of this process: one stack after the other."""

from collections.abc import Iterator, Sequence

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.tasks.task import Task
from pipelines.training import MemberResult, fit


def run_stacks(
    stacks: Sequence[Sequence[TrialConfig]], prepared: PreparedTable, task: Task
) -> Iterator[list[MemberResult]]:
    """Train stacks in the order given; yield each stack's results as soon as it has ended."""
    for trials in stacks:
        yield fit(trials, prepared, task)
