"""Trains trials on the small table as a sweep does, with a recorder in memory; and an engine that loses a stack."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import DoneJob, Engine, StackJob
from pipelines.engines.local import ThisProcess
from pipelines.engines.run_job import lost_job
from pipelines.sweeps.folder import open_sweep_folder, trial_identities
from pipelines.sweeps.plan import Plan, PlannedStack
from pipelines.sweeps.run import TrialOutcome, train_trials
from pipelines.sweeps.table_setup import TableSetup
from pipelines.sweeps.trial_names import swept_names
from pipelines.tasks.task import Task
from pipelines.tracking.memory import MemoryRecorder
from tests.tables import small_table


def train(
    trials: Sequence[TrialConfig],
    root: Path,
    recorder: MemoryRecorder,
    *,
    members_a_stack: int,
    resume: bool = True,
    told: list[str] | None = None,
    table: tuple[PreparedTable, Task] | None = None,
    engine: Engine | None = None,
) -> list[TrialOutcome]:
    prepared, task = table or small_table()
    identities = trial_identities(trials, fingerprint=prepared.table.fingerprint)
    tell = (told if told is not None else []).append
    with open_sweep_folder(root, identities, resume=resume, tell=tell) as folder:
        kept = folder.kept_of(identities)
        places = range(len(trials) - sum(len(stack.trials) for stack in kept))
        starts = range(0, len(places), members_a_stack)
        stacks = [PlannedStack(tuple(places[start : start + members_a_stack]), 1, 1, 1.0) for start in starts]
        return train_trials(
            dict(zip(identities, trials, strict=True)),
            Plan(tuple(stacks), first_number=folder.next_number),
            TableSetup(prepared, task, engine or ThisProcess(), folder, recorder, {"sweep": folder.name}),
            n_before=0,
            kept=kept,
            swept=swept_names(trials),
            new_number=count(folder.next_number + len(stacks)).__next__,
            tell=tell,
        )


class LosesAStack(ThisProcess):
    """Trains as this process does, and loses one stack."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        for job in jobs:
            if job.number == self.number:
                yield lost_job(job, reason="The node died.")
            else:
                yield from super().run([job], prepared, task)
