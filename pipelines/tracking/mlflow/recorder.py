"""Writes to MLflow. Its calls wait; `pipelines.tracking.process` lets a sweep go on meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from mlflow.exceptions import MlflowException

from pipelines.errors import UserError
from pipelines.tracking.mlflow.registry import newest_version, register_bundle, settle_version
from pipelines.tracking.mlflow.runs import WHOLE, add_to_run, whole_runs, write_run
from pipelines.tracking.mlflow.store import open_store, reason
from pipelines.tracking.recorder import RegisteredVersion, RunRecord, Scored


class MlflowRecorder:
    """Keeps runs in MLflow: a SQLite file by default, or a server. SQLite has one writer, so must a sweep.

    Args:
        uri: `sqlite:///<path>` or `http(s)://<host>:<port>`.
        experiment: name of the experiment; made when it is missing.
        artifacts: folder for artifacts beside a SQLite file; a server keeps them itself.
        left: set once nobody waits any more: the run that is being written is then the last.

    Raises:
        UserError: the store cannot be opened.
    """

    def __init__(self, uri: str, *, experiment: str, artifacts: str | None, left: Event | None = None) -> None:
        self._store = open_store(uri, experiment=experiment, artifacts=artifacts)
        self._left = left or Event()
        self._has_failed = False
        self._whole_runs: dict[str, dict[str, str]] = {}  # sweep -> identity -> id

    def record(self, runs: Sequence[RunRecord]) -> list[str]:
        """Write runs and return their ids, in order; one that its sweep has already is not written again.

        Raises:
            UserError: the first of those that could not be written; it did not keep the others from it. Or nobody waits
                any more.
        """
        ids: list[str] = []
        failures: list[UserError] = []
        for run in runs:
            if self._left.is_set():
                raise UserError(f"The run {run.name!r} was not written: the command was ended.")
            try:
                with self._asked_first():
                    ids.append(self._id_of(run))
            except UserError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return ids

    def annotate(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run.

        Raises:
            UserError: MLflow refused.
        """
        with self._asked_first():
            add_to_run(self._store, run_id, metrics)

    def newest_version(self, name: str) -> int:
        """The highest version of a model, 0 where there is none.

        Raises:
            UserError: MLflow refused.
        """
        with self._asked_first():
            return newest_version(self._store, name)

    def register(self, bundle: Path, name: str, run_id: str, scored: Scored | None = None) -> RegisteredVersion:
        """Register the bundle, unless it is registered already.

        Raises:
            UserError: MLflow refused.
        """
        with self._asked_first():
            return register_bundle(self._store, bundle, name=name, run_id=run_id, scored=scored)

    def settle(self, version: RegisteredVersion, is_champion: bool) -> RegisteredVersion:  # noqa: FBT001  asked by place
        """Move the alias `champion` to a version that is not settled, or leave it.

        Raises:
            UserError: MLflow refused; the version is not settled.
        """
        with self._asked_first():
            return settle_version(self._store, version, is_champion=is_champion)

    def tag_experiment(self, key: str, value: str) -> str:
        """Tag the experiment and return its id.

        Raises:
            UserError: MLflow refused.
        """
        try:
            with self._asked_first():
                self._store.client.set_experiment_tag(self._store.experiment_id, key, value)
        except MlflowException as error:
            raise UserError(f"The experiment could not be tagged in {self._store.uri}: {reason(error)}") from error
        return self._store.experiment_id

    @contextmanager
    def _asked_first(self) -> Iterator[None]:
        """After a failure a sign of life is asked for: MLflow waits a minute a request for a server that is gone."""
        if self._has_failed:
            self._store.check_answers()
        try:
            yield
        except UserError:
            self._has_failed = True
            raise

    def _id_of(self, run: RunRecord) -> str:
        sweep = run.tags.get("sweep")
        if sweep is None:
            return write_run(self._store, run)
        if sweep not in self._whole_runs:
            self._whole_runs[sweep] = whole_runs(self._store, sweep)
        known = self._whole_runs[sweep]
        if run.identity in known:
            return known[run.identity]
        run_id = write_run(self._store, run)
        if run.status in WHOLE:
            known[run.identity] = run_id
        return run_id
