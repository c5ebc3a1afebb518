"""The part of a sweep that is on one table: these trials compete with each other, in however many batches they come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.config.schema import TaskKind, TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import Engine
from pipelines.sweeps.finalists import Finalists, choose_finalists
from pipelines.sweeps.folder import SweepFolder
from pipelines.sweeps.plan import memory_budget_bytes, plan_stacks
from pipelines.sweeps.run import TrialOutcome, train_trials
from pipelines.tasks.task import Task
from pipelines.tracking.recorder import Recorder


@dataclass
class TableSweep:
    """A table, and the trials on it.

    Attributes:
        prepared: the table, read once.
        task: what is predicted; a trial learns it by its own loss.
        task_kind: as it was asked for.
        engine: trains the stacks.
        folder: keeps the stacks, of all batches.
        recorder: keeps the runs.
        tags: of every run.
        outcomes: of all batches until now, numbered by their place.
        n_stacks: of all batches until now.
    """

    prepared: PreparedTable
    task: Task
    task_kind: TaskKind | Literal["auto"]
    engine: Engine
    folder: SweepFolder
    recorder: Recorder
    tags: Mapping[str, str]
    outcomes: list[TrialOutcome] = field(default_factory=list)
    n_stacks: int = 0

    @property
    def trials(self) -> list[TrialConfig]:
        """Of all batches until now."""
        return [outcome.trial for outcome in self.outcomes]

    def train(
        self, trials: Sequence[TrialConfig], *, swept: Sequence[str], tell: Callable[[str], None]
    ) -> list[TrialOutcome]:
        """Plan, train and record a batch; its trials take the numbers after those of earlier batches.

        Args:
            trials: on this table.
            swept: names of the parameters that differ between the sweep's trials.
            tell: called with what a user should read.

        Returns:
            One outcome a trial, in their order.
        """
        plan = plan_stacks(
            trials,
            self.prepared,
            self.task,
            budget_bytes=memory_budget_bytes(trials[0].engine, self.engine),
            n_places=self.engine.n_places,
            first_number=self.n_stacks,
            device=self.engine.device,
        )
        tell(str(plan))
        outcomes = train_trials(
            trials,
            plan,
            engine=self.engine,
            folder=self.folder,
            swept=swept,
            prepared=self.prepared,
            task=self.task,
            recorder=self.recorder,
            tags=self.tags,
            tell=tell,
        )
        self.n_stacks += len(plan.stacks)
        self.outcomes += outcomes
        return outcomes

    def choose(self) -> Finalists:
        """The best trial and the ensemble, of all batches.

        Raises:
            NoModelError: every trial failed.
        """
        ensemble = self.outcomes[0].trial.ensemble
        return choose_finalists(self.outcomes, ensemble, prepared=self.prepared, task=self.task)
