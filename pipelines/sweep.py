"""The main job as a story: open a table, plan, train, record; and at the end select, export, register.

`open_sweep` is for the trials of one command line, in one batch or in as many as a search asks for. A single trial is a
sweep of one.
"""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.config.schema import LossName, TrackingConfig, TrialConfig
from pipelines.data.prepare import Part, PreparedTable
from pipelines.engines import Engine, open_engine
from pipelines.errors import UserError
from pipelines.export import Origin, calibrate, check_publishable, write_bundle
from pipelines.selection.baselines import BaselineResult, run_baselines
from pipelines.sweeps.champion import Candidate, check_numbers, chosen_by, register
from pipelines.sweeps.custom_nets import why_trained_alone
from pipelines.sweeps.finalists import Finalists, NoModelError, score_on_test, served_members
from pipelines.sweeps.folder import SweepFolder, open_sweep_folder, trial_identities
from pipelines.sweeps.leaderboard import leaderboard_rows, render_leaderboard
from pipelines.sweeps.open_table import open_table
from pipelines.sweeps.ranking import check_one_ranking, places_by_table
from pipelines.sweeps.records import (
    EnsembleMember,
    Period,
    baseline_record,
    ensemble_record,
    prefixed,
    swept_beside,
    swept_names,
)
from pipelines.sweeps.run import TrialOutcome
from pipelines.sweeps.table_setup import TableSetup
from pipelines.sweeps.table_sweep import TableSweep
from pipelines.tasks.metrics import HIGHER_IS_BETTER, score
from pipelines.tasks.task import Task
from pipelines.tracking.code_version import code_version
from pipelines.tracking.process import RecorderProcess
from pipelines.tracking.recorder import Recorder, RegisteredVersion
from pipelines.tracking.view import Comparison, save_comparison_view

UI_ADDRESS = "http://127.0.0.1:5000"  # of `make ui`
UI_VARIABLE = "SWEEPSTACK_UI"  # of the environment: where a browser finds the MLflow server, if not at tracking.uri


@dataclass(frozen=True)
class SweepResult:
    """What a command leaves.

    Attributes:
        scores: one a trial, in the order given, on the validation part; greater is better, None for a failed one.
        registered: the best model of each table, champion or not.
    """

    scores: list[float | None]
    registered: list[RegisteredVersion]


class _Chosen(NamedTuple):
    """A table, what is best on it, and whether that is the best of all tables of this name."""

    table: TableSweep
    finalists: Finalists
    is_best: bool = True

    @property
    def table_name(self) -> str:
        return self.table.setup.prepared.table.name


@contextmanager
def open_sweep(recorders: RecorderProcess, *, tell: Callable[[str], None] = print) -> Iterator["Sweep"]:
    """A sweep for the trials of one command line; when the block ends, everything is written.

    Args:
        recorders: keep its runs.
        tell: called with what a user should read.
    """
    with ExitStack() as leaving:
        yield Sweep(leaving, recorders, tell=tell)


class Sweep:
    """Call `train` once or more, then `finish`.

    Args:
        leaving: ends the engine, the recording and the locks on folders; `open_sweep` holds it.
        recorders: keep its runs.
        tell: called with what a user should read.

    Attributes:
        lost: trials without a model by no doing of their own, which the same command trains again.
    """

    def __init__(self, leaving: ExitStack, recorders: RecorderProcess, *, tell: Callable[[str], None]) -> None:
        self._leaving = leaving
        self._recorders = recorders
        self._tell = tell
        self._engine: Engine | None = None
        self._tables: dict[str, TableSweep] = {}
        self._scores: list[float | None] = []
        self._known: list[TrialConfig] = []  # expected or trained
        self.lost: list[TrialConfig] = []

    def expect(self, trials: Sequence[TrialConfig]) -> None:
        """Tell by trials that span a search what it may vary: its runs show all of that, from the first batch on."""
        self._known += trials

    def begin(self, trials: Sequence[TrialConfig]) -> str:
        """Open the tables of the first batch, and train nothing yet.

        Returns:
            What tells this sweep from others: a hash of these trials, of their data and of the user's own nets.

        Raises:
            UserError: as `train`.
        """
        self._open_tables(trials)
        return " ".join(table.setup.folder.path.name for table in self._tables.values())

    def train(self, trials: Sequence[TrialConfig]) -> list[float | None]:
        """Train a batch and record each of its trials.

        Args:
            trials: those on one table compete with each other and with those of earlier batches.

        Returns:
            Their scores, as in `SweepResult`. A batch may fail whole: another may yet give a model.

        Raises:
            UserError: something the user can put right; no trial of the batch was trained.
        """
        scores: list[float | None] = [None] * len(trials)
        self._known += trials
        self._open_tables(trials)  # all of them first: a mistake in the last table costs no training
        for key, places in places_by_table(trials).items():
            table = self._tables[key]
            metric = table.setup.task.metric
            batch = [trials[place] for place in places]
            outcomes = table.train(batch, swept=swept_beside(batch[0], self._known), tell=self._tell)
            for place, outcome in zip(places, outcomes, strict=True):
                if outcome.result.is_lost:
                    self.lost.append(outcome.trial)
                if outcome.result.failure is None:
                    scores[place] = score(metric, outcome.result.metrics[metric])
        self._scores += scores
        return scores

    def finish(self) -> SweepResult:
        """Register the best model of every table, chosen among the trials of all batches.

        Of tables that have one name, as a file divided in two ways, the best of all alone may become the champion.

        Raises:
            UserError: no trial ended with a model, or something else that the user can put right.
            ParityError: the exported model does not answer as the trained one; it is not registered.
        """
        chosen: list[_Chosen] = []
        without_model: list[NoModelError] = []
        for table in self._tables.values():
            try:
                chosen.append(_Chosen(table, table.choose()))
            except NoModelError as error:
                without_model.append(error)
        if without_model and not chosen:
            raise without_model[0]
        registered = [_finish_table(own, tell=self._tell) for own in _best_of_a_name_last(chosen)]
        last = {version.name: version for version in registered}
        for name, count in Counter(version.name for version in registered).items():
            if count > 1 and last[name].is_champion:
                answers = f"version {last[name].version} answers, whose validation score is the best of the {count}"
                self._tell(f"{name}: {answers}")
        for failure in without_model:
            self._tell(f"\n{failure}")
        return SweepResult(self._scores, registered)

    def _open_tables(self, trials: Sequence[TrialConfig]) -> None:
        for key, places in places_by_table(trials).items():
            own = [trials[place] for place in places]
            table = self._tables.get(key)
            if table is None:
                self._tables[key] = self._begin_table(own)
            else:
                setup = table.setup
                check_one_ranking(own, setup.task, task_kind=table.task_kind, name=setup.prepared.table.name)

    def _begin_table(self, trials: Sequence[TrialConfig]) -> TableSweep:
        first = trials[0]
        prepared, task = open_table(first.data, first.task)
        check_one_ranking(trials, task, task_kind=first.task.kind, name=prepared.table.name)
        self._tell(_describe(prepared, task, losses=[task.learned_by(trial.task).loss for trial in trials]))
        for trial in trials:  # before there is a folder or a database: a mistake leaves nothing
            why_trained_alone(trial, prepared, task)
        check_publishable(Path(first.tracking.bundles), name=prepared.table.name)
        folder = self._leaving.enter_context(_folder(trials, prepared, tell=self._tell))
        recorder = self._leaving.enter_context(
            _recorder(self._recorders, first.tracking, experiment=prepared.table.name)
        )
        check_numbers(recorder, Path(first.tracking.bundles), name=prepared.table.name, uri=first.tracking.uri)
        setup = TableSetup(prepared, task, self._engine_of(first), folder, recorder, _tags(prepared, folder))
        return TableSweep(setup, first.task.kind)

    def _engine_of(self, trial: TrialConfig) -> Engine:
        """One engine for the whole sweep, as its first trial asks for it."""
        if self._engine is None:
            self._engine = self._leaving.enter_context(open_engine(trial.engine, trial.trainer))
        return self._engine


def _finish_table(chosen: _Chosen, *, tell: Callable[[str], None]) -> RegisteredVersion:
    """What happens once, after the last batch: compare, look at the test part, export and register."""
    table, finalists = chosen.table, chosen.finalists
    setup, trials, outcomes = table.setup, table.trials, table.outcomes
    prepared, task, recorder = setup.prepared, setup.task, setup.recorder
    baselines = _baselines(setup)
    champion_run = _record_champion(finalists, outcomes, setup)

    members = served_members(finalists.champion, outcomes, task)
    calibration = calibrate(members, prepared=prepared, task=task)
    test, held = score_on_test(members, prepared=prepared, task=task, calibration=calibration)
    validation = finalists.champion.selection.metrics
    parts = {"validation": validation, "test": test}
    metrics = {part: {str(name): value for name, value in own.items()} for part, own in parts.items()}
    metrics["test"] |= held
    recorder.annotate(champion_run, prefixed("test", metrics["test"]))

    name, tracking = prepared.table.name, trials[0].tracking
    # Before the rest, of which a registry or a disk may yet make nothing.
    rows = leaderboard_rows(finalists, outcomes, baselines, test=test, task=task)
    tell(render_leaderboard(f"\n{name}: {task.kind}, ranked by {_ranked_by(task)}", rows, task))

    origin = Origin(sweep=setup.folder.name, code_version=setup.tags["code_version"], created=setup.folder.created)
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
        scored = chosen_by(task.metric, validation[task.metric], prepared)
        registered = register(
            Candidate(bundle, name, champion_run, scored, is_best=chosen.is_best),
            task,
            recorder=recorder,
            root=Path(tracking.bundles),
            uri=tracking.uri,
            tell=tell,
        )

    view = save_comparison_view(recorder, _comparison(trials, task, sweep=setup.folder.name))
    tell(f"{registered.told} {_where_to_look(tracking)}/{view}")
    if registered.who_answers:
        tell(registered.who_answers)
    return registered.version


def _best_of_a_name_last(chosen: Sequence[_Chosen]) -> list[_Chosen]:
    """Of the tables of one name that with the best model is the last; of equals, the last that was given."""
    ranked = sorted(chosen, key=lambda own: own.finalists.champion.selection.score)
    best = {own.table_name: own.table for own in ranked}
    return sorted(
        (own._replace(is_best=best[own.table_name] is own.table) for own in chosen), key=lambda own: own.is_best
    )


@contextmanager
def _recorder(recorders: RecorderProcess, config: TrackingConfig, *, experiment: str) -> Iterator[Recorder]:
    """MLflow, until everything is written. An error inside the block is the one that the user must see."""
    recorder = recorders.open(config.uri, experiment=config.experiment or experiment, artifacts=config.artifacts)
    try:
        yield recorder
    except BaseException:
        with suppress(UserError):  # what could not be written is written by the next command
            recorder.close()
        raise
    recorder.close()


def _folder(
    trials: Sequence[TrialConfig], prepared: PreparedTable, *, tell: Callable[[str], None]
) -> AbstractContextManager[SweepFolder]:
    """A sweep is known by its first batch: a search that begins alike goes on alike."""
    identities = trial_identities(trials, fingerprint=prepared.table.fingerprint)
    tracking = trials[0].tracking
    return open_sweep_folder(Path(tracking.checkpoints), identities, resume=tracking.resume, tell=tell)


def _tags(prepared: PreparedTable, folder: SweepFolder) -> dict[str, str]:
    """What every run of the sweep carries."""
    return {
        "sweep": folder.name,
        "data_fingerprint": prepared.table.fingerprint,
        "code_version": code_version(),
    }


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


def _baselines(setup: TableSetup) -> list[BaselineResult]:
    baselines = run_baselines(setup.prepared, setup.task)
    now = time.time()
    setup.recorder.record(
        [baseline_record(own, tags=setup.tags, period=Period(now - own.seconds, now)) for own in baselines]
    )
    return baselines


def _comparison(trials: Sequence[TrialConfig], task: Task, *, sweep: str) -> Comparison:
    metric = f"validation/{task.metric}"
    return Comparison(
        sweep=sweep,
        params=swept_names(trials),
        metric=metric,
        best="highest" if HIGHER_IS_BETTER[task.metric] else "lowest",
        curves=["train/loss", "validation/loss", metric],
    )


def _where_to_look(tracking: TrackingConfig) -> str:
    """How to reach the UI, up to the part of the address that names the sweep's comparison."""
    if tracking.kind == "server":
        return f"Compare the runs: {(os.environ.get(UI_VARIABLE) or tracking.uri).rstrip('/')}"
    return f"Compare the runs: make ui, then {UI_ADDRESS}"


def _ranked_by(task: Task) -> str:
    return f"{task.metric} ({'higher' if HIGHER_IS_BETTER[task.metric] else 'lower'} is better)"


def _describe(prepared: PreparedTable, task: Task, *, losses: Sequence[LossName]) -> str:
    table = prepared.table
    n_folds = len(prepared.folds)
    named: list[tuple[str, Part | None]] = [("train", prepared.train), ("validation", prepared.validation)]
    if n_folds:
        named = [(f"in {n_folds} folds", prepared.train)]
    named += [("calibration", prepared.calibration), ("test", prepared.test)]
    parts = ", ".join(f"{len(part.rows):,} {name}" for name, part in named if part is not None)
    return (
        f"{table.name}: {len(table.target_values):,} rows, {len(table.columns)} columns ({parts})\n"
        f"  task {table.target.reason}; loss {' or '.join(dict.fromkeys(losses))}, metric {task.metric}"
    )
