"""The main job as a story: open a table, plan, train, record; and at the end select, export, register.

`open_sweep` is for the trials of one command line, in one batch or in as many as a search asks for. A single trial is a
sweep of one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.config.schema import TrackingConfig, TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import Engine, open_engine
from pipelines.errors import UserError
from pipelines.export import check_publishable
from pipelines.sweeps.champion import check_numbers
from pipelines.sweeps.custom_nets import check_custom_nets
from pipelines.sweeps.finalists import NoModelError
from pipelines.sweeps.finish_table import TableChoice, finish_table
from pipelines.sweeps.folder import SweepFolder, open_sweep_folder, trial_identities
from pipelines.sweeps.open_table import describe_table, open_table
from pipelines.sweeps.ranking import check_one_ranking, places_by_table
from pipelines.sweeps.table_setup import TableSetup
from pipelines.sweeps.table_sweep import TableSweep
from pipelines.sweeps.trial_names import swept_beside
from pipelines.tasks.metrics import score
from pipelines.tracking.code_version import code_version
from pipelines.tracking.process import RecorderProcess
from pipelines.tracking.recorder import Recorder, RegisteredVersion


@dataclass(frozen=True)
class SweepResult:
    """What a command leaves.

    Attributes:
        scores: one a trial, in the order given, on the validation part; greater is better, None for a failed one.
        registered: the best model of each table, champion or not.
    """

    scores: list[float | None]
    registered: list[RegisteredVersion]


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
        choices: list[TableChoice] = []
        without_model: list[NoModelError] = []
        for table in self._tables.values():
            try:
                choices.append(TableChoice(table, table.choose()))
            except NoModelError as error:
                without_model.append(error)
        if without_model and not choices:
            raise without_model[0]
        registered = [finish_table(choice, tell=self._tell) for choice in _best_of_a_name_last(choices)]
        for line in _best_of_several(registered):
            self._tell(line)
        for failure in without_model:
            self._tell(f"\n{failure}")
        return SweepResult(self._scores, registered)

    def _open_tables(self, trials: Sequence[TrialConfig]) -> None:
        for key, places in places_by_table(trials).items():
            on_table = [trials[place] for place in places]
            table = self._tables.get(key)
            if table is None:
                self._tables[key] = self._begin_table(on_table)
            else:
                setup = table.setup
                check_one_ranking(on_table, setup.task, task_kind=table.task_kind, name=setup.prepared.table.name)

    def _begin_table(self, trials: Sequence[TrialConfig]) -> TableSweep:
        first = trials[0]
        prepared, task = open_table(first.data, first.task)
        check_one_ranking(trials, task, task_kind=first.task.kind, name=prepared.table.name)
        self._tell(describe_table(prepared, task, losses=[task.learned_by(trial.task).loss for trial in trials]))
        check_custom_nets(trials, prepared, task)  # before there is a folder or a database: a mistake leaves nothing
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


def _best_of_a_name_last(choices: Sequence[TableChoice]) -> list[TableChoice]:
    """Of the tables of one name that with the best model is the last; of equals, the last that was given."""
    ranked = sorted(choices, key=lambda choice: choice.finalists.champion.selection.score)
    best = {choice.table_name: choice.table for choice in ranked}
    marked = [choice._replace(is_best=best[choice.table_name] is choice.table) for choice in choices]
    return sorted(marked, key=lambda choice: choice.is_best)


def _best_of_several(registered: Sequence[RegisteredVersion]) -> Iterator[str]:
    """A line a name under which several versions were registered and the last one, the best, became the champion."""
    last = {version.name: version for version in registered}
    for name, count in Counter(version.name for version in registered).items():
        if count > 1 and last[name].is_champion:
            yield f"{name}: version {last[name].version} answers, whose validation score is the best of the {count}"


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
