"""Writes to MLflow from one background thread: training does not wait for it, and SQLite has one writer."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from pipelines.errors import UserError
from pipelines.tracking.mlflow.registry import register_bundle
from pipelines.tracking.mlflow.runs import add_to_run, whole_runs, write_run
from pipelines.tracking.mlflow.store import open_store
from pipelines.tracking.recorder import RegisteredVersion, RunRecord


class MlflowRecorder:
    """Keeps runs in MLflow: a SQLite file by default, or a server.

    Args:
        uri: `sqlite:///<path>` or `http(s)://<host>:<port>`.
        experiment: name of the experiment; made when it is missing.
        artifacts: folder for artifacts beside a SQLite file; a server keeps them itself.

    Raises:
        UserError: the store cannot be opened.
    """

    def __init__(self, uri: str, *, experiment: str, artifacts: str | None) -> None:
        self._store = open_store(uri, experiment=experiment, artifacts=artifacts)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mlflow-writer")
        self._failures: list[BaseException] = []
        self._whole_runs: dict[str, dict[str, str]] = {}  # sweep -> identity -> id

    def record(self, runs: Sequence[RunRecord]) -> Future[list[str]]:
        """Queue runs; one that cannot be written does not keep the others from it, and the future raises its error."""
        return self._submit(partial(self._write_all, tuple(runs)))

    def annotate(self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Queue an addition; its failure is raised by `close`."""
        self._submit(partial(add_to_run, self._store, run_id, dict(metrics), dict(tags)))

    def register(self, bundle: Path, *, name: str, run_id: str) -> RegisteredVersion:
        """Register the bundle after everything queued before.

        Raises:
            UserError: MLflow refused; the alias `champion` is where it was.
        """
        return self._writer.submit(register_bundle, self._store, bundle, name=name, run_id=run_id).result()

    def tag_experiment(self, key: str, value: str) -> str:
        """Tag the experiment after everything queued before.

        Raises:
            UserError: MLflow refused.
        """
        try:
            self._writer.submit(self._store.client.set_experiment_tag, self._store.experiment_id, key, value).result()
        except MlflowException as error:
            raise UserError(f"The experiment could not be tagged in {self._store.uri}: {error}") from error
        return self._store.experiment_id

    def close(self) -> None:
        """Wait until everything is written and raise the first failure of `record` and `annotate`."""
        self._writer.shutdown(wait=True)
        if self._failures:
            raise self._failures[0]

    def _submit(self, job: Callable[[], Any]) -> Future[Any]:
        future = self._writer.submit(job)
        future.add_done_callback(self._note_failure)
        return future

    def _note_failure(self, future: Future[Any]) -> None:
        if not future.cancelled() and (failure := future.exception()) is not None:
            self._failures.append(failure)

    def _write_all(self, runs: Sequence[RunRecord]) -> list[str]:
        ids: list[str] = []
        failures: list[UserError] = []
        for run in runs:
            # After a failure, ask first: MLflow's own retries take a minute a request when a server is gone.
            if self._failures or failures:
                self._store.check_answers()
            try:
                ids.append(self._id_of(run))
            except UserError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return ids

    def _id_of(self, run: RunRecord) -> str:
        sweep = run.tags.get("sweep")
        if sweep is None:
            return write_run(self._store, run)
        if sweep not in self._whole_runs:
            self._whole_runs[sweep] = whole_runs(self._store, sweep)
        known = self._whole_runs[sweep]
        if run.identity not in known:
            known[run.identity] = write_run(self._store, run)
        return known[run.identity]
