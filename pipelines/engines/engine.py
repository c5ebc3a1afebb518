"""What every engine is: it trains stacks, some of them side by side, and hands over each as soon as it is done."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from pipelines.data.prepare import PreparedTable
from pipelines.engines.job import DoneJob, StackJob
from pipelines.tasks.task import Task
from pipelines.training import Place


@runtime_checkable
class Engine(Protocol):
    """Where stacks train."""

    @property
    def n_side_by_side(self) -> int:
        """How many stacks train at a time."""
        ...

    @property
    def place(self) -> Place:
        """Where this process measures what a stack costs: like where stacks train, as far as it has such a device."""
        ...

    def free_bytes(self) -> int:
        """Memory that a stack finds free while as many train as can; asked before any trains."""
        ...

    def run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        """Train stacks, begun in the order given; yield each as soon as it is done, in any order.

        A stack whose process or machine is lost again and again, and one that raises an error, ends, its trials with a
        reason and without a model; what was kept of it stays. A UserError concerns all stacks alike and ends the run.
        """
        ...
