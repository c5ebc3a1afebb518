"""What happens once to a table, after its last batch: baselines, the look at the test part, export, registration."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.config.schema import MetricName
from pipelines.export import Calibration, Origin, ServedMember, calibrate, write_bundle
from pipelines.selection.baselines import BaselineResult, run_baselines
from pipelines.sweeps.champion import Candidate, Registered, chosen_by, register
from pipelines.sweeps.comparison import where_to_compare
from pipelines.sweeps.finalists import Finalists, score_on_test, served_members
from pipelines.sweeps.leaderboard import leaderboard_rows, render_leaderboard
from pipelines.sweeps.records import EnsembleMember, Period, baseline_record, ensemble_record, prefixed
from pipelines.sweeps.run import TrialOutcome
from pipelines.sweeps.table_setup import TableSetup
from pipelines.sweeps.table_sweep import TableSweep
from pipelines.tracking.recorder import RegisteredVersion


class TableChoice(NamedTuple):
    """A table, what is best on it, and whether that is the best of all tables of this name."""

    table: TableSweep
    finalists: Finalists
    is_best: bool = True

    @property
    def table_name(self) -> str:
        """Of the table, and of the model that is registered."""
        return self.table.setup.prepared.table.name


def finish_table(choice: TableChoice, *, tell: Callable[[str], None]) -> RegisteredVersion:
    """Register what was chosen on a table, and tell how good it is.

    Args:
        choice: what is best on the table.
        tell: called with what a user should read.

    Raises:
        UserError: a run could not be written, or the registry or the server's folder refused.
        ParityError: the exported model does not answer as the trained one; it is not registered.
    """
    table, finalists = choice.table, choice.finalists
    setup, outcomes = table.setup, table.outcomes
    prepared, task = setup.prepared, setup.task
    baselines = _run_and_record_baselines(setup)
    champion_run = _record_champion(finalists, outcomes, setup)

    members = served_members(finalists.champion, outcomes, task)
    calibration = calibrate(members, prepared=prepared, task=task)
    test, coverage = score_on_test(members, prepared=prepared, task=task, calibration=calibration)
    metrics = {"validation": _plain(finalists.champion.selection.metrics), "test": _plain(test) | coverage}
    setup.recorder.annotate(champion_run, prefixed("test", metrics["test"]))

    # Before the rest, of which a registry or a disk may yet make nothing.
    rows = leaderboard_rows(finalists, outcomes, baselines, test=test, task=task)
    tell(f"\n{render_leaderboard(choice.table_name, rows, task)}")

    registered = _export_and_register(
        choice, members, metrics=metrics, calibration=calibration, run_id=champion_run, tell=tell
    )
    tell(f"{registered.told} {where_to_compare(table.trials, setup)}")
    if registered.who_answers:
        tell(registered.who_answers)
    return registered.version


def _plain(metrics: Mapping[MetricName, float]) -> dict[str, float]:
    return {str(name): value for name, value in metrics.items()}


def _export_and_register(
    choice: TableChoice,
    members: Sequence[ServedMember],
    *,
    metrics: Mapping[str, Mapping[str, float]],
    calibration: Calibration | None,
    run_id: str,
    tell: Callable[[str], None],
) -> Registered:
    setup, tracking = choice.table.setup, choice.table.trials[0].tracking
    prepared, task = setup.prepared, setup.task
    origin = Origin(sweep=setup.folder.name, code_version=setup.tags["code_version"], created=setup.folder.created)
    scored = chosen_by(task.metric, metrics["validation"][task.metric], prepared)
    with tempfile.TemporaryDirectory() as workshop:
        bundle = write_bundle(
            Path(workshop) / "bundle",
            prepared=prepared,
            task=task,
            members=members,
            metrics=metrics,
            origin=origin,
            calibration=calibration,
        )
        return register(
            Candidate(bundle, choice.table_name, run_id, scored, is_best=choice.is_best),
            task,
            recorder=setup.recorder,
            root=Path(tracking.bundles),
            uri=tracking.uri,
            tell=tell,
        )


def _record_champion(finalists: Finalists, outcomes: Sequence[TrialOutcome], setup: TableSetup) -> str:
    """Wait for the trials' runs, record the ensemble, if there is one, and return the id of the champion's run.

    Raises:
        UserError: a run could not be written, and so nothing is to be registered.
    """
    run_ids = [outcome.run_id for outcome in outcomes]
    (best,) = finalists.best.members
    if finalists.ensemble is None:
        return run_ids[best]
    now = time.time()
    record = ensemble_record(
        [
            EnsembleMember(run_ids[place], outcomes[place].identity, weight)
            for place, weight in finalists.ensemble.members.items()
        ],
        finalists.ensemble.selection.metrics,
        tags=setup.tags,
        period=Period(now, now),
    )
    (run_id,) = setup.recorder.record([record]).result()
    return run_id if finalists.champion is finalists.ensemble else run_ids[best]


def _run_and_record_baselines(setup: TableSetup) -> list[BaselineResult]:
    baselines = run_baselines(setup.prepared, setup.task)
    now = time.time()
    setup.recorder.record(
        [baseline_record(result, tags=setup.tags, period=Period(now - result.seconds, now)) for result in baselines]
    )
    return baselines
