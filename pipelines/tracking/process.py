"""Recorders in a process of their own: it imports MLflow while this one imports torch, and writes while it trains."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Any

from pipelines.beside import Beside
from pipelines.tracking.recorder import RegisteredVersion, RunRecord, Scored


class RecorderProcess:
    """Opens recorders, a store or an experiment each; `close` ends them all."""

    def __init__(self) -> None:
        self._beside = Beside(MlflowRecorders, name="recording in MLflow")

    def open(self, uri: str, *, experiment: str, artifacts: str | None) -> "ProcessRecorder":
        """Wait until the store is open; the arguments are those of `MlflowRecorder`.

        Raises:
            UserError: it cannot be opened.
        """
        return ProcessRecorder(self._beside, self._beside.call("open", uri, experiment, artifacts).result())

    def close(self) -> None:
        """Wait for all that was asked, then end the process."""
        self._beside.close()


class ProcessRecorder:
    """The recorder of one store and experiment.

    Args:
        beside: its process.
        number: by which the process knows it.
    """

    def __init__(self, beside: Beside, number: int) -> None:
        self._beside = beside
        self._number = number
        self._written: list[Future[Any]] = []

    def record(self, runs: Sequence[RunRecord]) -> Future[list[str]]:
        """Queue runs; one that cannot be written does not keep the others from it, and the future raises its error."""
        return self._write("record", tuple(runs))

    def annotate(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Queue an addition; its failure is raised by `close`."""
        self._write("annotate", run_id, dict(metrics))

    def newest_version(self, name: str) -> int:
        """Ask after everything queued before.

        Raises:
            UserError: MLflow refused.
        """
        return int(self._call("newest_version", name).result())

    def register(self, bundle: Path, *, name: str, run_id: str, scored: Scored | None = None) -> RegisteredVersion:
        """Register the bundle after everything queued before.

        Raises:
            UserError: MLflow refused.
        """
        version: RegisteredVersion = self._call("register", bundle, name, run_id, scored).result()
        return version

    def settle(self, version: RegisteredVersion, *, is_champion: bool) -> RegisteredVersion:
        """Move the alias, or leave it, after everything queued before.

        Raises:
            UserError: MLflow refused.
        """
        settled: RegisteredVersion = self._call("settle", version, is_champion).result()
        return settled

    def tag_experiment(self, key: str, value: str) -> str:
        """Tag the experiment after everything queued before.

        Raises:
            UserError: MLflow refused.
        """
        return str(self._call("tag_experiment", key, value).result())

    def close(self) -> None:
        """Wait until everything is written and raise the first failure of `record` and `annotate`."""
        for future in self._written:
            future.result()

    def _write(self, method: str, *arguments: Any) -> Future[Any]:
        future = self._call(method, *arguments)
        self._written.append(future)
        return future

    def _call(self, method: str, *arguments: Any) -> Future[Any]:
        return self._beside.call("call", self._number, method, arguments)


class MlflowRecorders:
    """What lives in the process.

    Args:
        left: set once nobody asks any more; the run that is being written is then the last.
    """

    def __init__(self, left: Event) -> None:
        from pipelines.tracking.mlflow import MlflowRecorder  # noqa: PLC0415  imported in the process, before it is asked

        self._make = MlflowRecorder
        # MLflow would when it opens a SQLite file. After our own package, which settles what MLflow sends home.
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401, PLC0415  for what importing it takes

        self._opened: list[MlflowRecorder] = []
        self._left = left

    def open(self, uri: str, experiment: str, artifacts: str | None) -> int:
        """The number of a new recorder."""
        self._opened.append(self._make(uri, experiment=experiment, artifacts=artifacts, left=self._left))
        return len(self._opened) - 1

    def call(self, number: int, method: str, arguments: Sequence[Any]) -> Any:
        """What one of them answers."""
        return getattr(self._opened[number], method)(*arguments)
