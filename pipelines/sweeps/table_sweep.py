"""The part of a sweep that is on one table: these trials compete with each other, in however many batches they come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.config.schema import TaskKind, TrialConfig
from pipelines.sweeps.finalists import Finalists, choose_finalists
from pipelines.sweeps.folder import trial_identities
from pipelines.sweeps.plan import counted, memory_budget_bytes, plan_stacks
from pipelines.sweeps.run import TrialOutcome, train_trials
from pipelines.sweeps.table_setup import TableSetup


@dataclass
class TableSweep:
    """A table, and the trials on it.

    Attributes:
        setup: the table, and where trials on it are trained, kept and recorded.
        task_kind: as it was asked for.
        known: outcome of each trial of all batches until now, by its identity.
    """

    setup: TableSetup
    task_kind: TaskKind | Literal["auto"]
    known: dict[str, TrialOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next_number = self.setup.folder.next_number  # of the first stack that is planned

    @property
    def outcomes(self) -> list[TrialOutcome]:
        """Of all batches until now, each trial once, numbered by their place."""
        return list(self.known.values())

    @property
    def trials(self) -> list[TrialConfig]:
        """Of all batches until now."""
        return [outcome.trial for outcome in self.outcomes]

    def train(
        self, trials: Sequence[TrialConfig], *, swept: Sequence[str], tell: Callable[[str], None]
    ) -> list[TrialOutcome]:
        """Train and record a batch. A trial that is asked for again is answered with what is known of it.

        What an earlier run of the sweep has trained is not planned, nor trained again.

        Args:
            trials: on this table.
            swept: names of the parameters that differ between the sweep's trials.
            tell: called with what a user should read.

        Returns:
            One outcome a trial, in their order.
        """
        identities = trial_identities(trials, fingerprint=self.setup.prepared.table.fingerprint)
        new = {
            identity: trial for identity, trial in zip(identities, trials, strict=True) if identity not in self.known
        }
        if len(new) < len(trials):
            tell(f"  {len(trials) - len(new)} of {counted(len(trials), 'trial')} known already: asked for before")
        if new:
            outcomes = self._train_new(new, swept=swept, tell=tell)
            self.known.update(zip(new, outcomes, strict=True))
        return [self.known[identity] for identity in identities]

    def _train_new(
        self, trials: Mapping[str, TrialConfig], *, swept: Sequence[str], tell: Callable[[str], None]
    ) -> list[TrialOutcome]:
        setup = self.setup
        kept = setup.folder.kept_of(trials)
        has_begun = {trial for stack in kept for trial in stack.trials}
        first = next(iter(trials.values()))
        plan = plan_stacks(
            [trial for identity, trial in trials.items() if identity not in has_begun],
            setup.prepared,
            setup.task,
            budget_bytes=memory_budget_bytes(first.engine, setup.engine),
            n_side_by_side=setup.engine.n_side_by_side,
            first_number=self._next_number,
            place=setup.engine.place,
        )
        self._next_number += len(plan.stacks)
        if plan.stacks:
            tell(str(plan))
        return train_trials(
            trials,
            plan,
            setup,
            n_before=len(self.known),
            kept=kept,
            swept=swept,
            new_number=self._new_number,
            tell=tell,
        )

    def _new_number(self) -> int:
        self._next_number += 1
        return self._next_number - 1

    def choose(self) -> Finalists:
        """The best trial and the ensemble, of all batches.

        Raises:
            NoModelError: every trial failed.
        """
        ensemble = self.outcomes[0].trial.ensemble
        return choose_finalists(self.outcomes, ensemble, prepared=self.setup.prepared, task=self.setup.task)
