"""What is said of a server before anything is asked of it."""

import sqlite3
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError

from pipelines.errors import UserError
from pipelines.tracking.mlflow import MlflowRecorder
from pipelines.tracking.mlflow.runs import whole_runs
from pipelines.tracking.mlflow.store import Store, open_store, reason
from tests.full_disk import files_at_most
from tests.tracking.records import make_run


def store(uri: str) -> Store:
    return Store(uri, MlflowClient(uri, registry_uri=uri), experiment_id="0")


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(UserError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        open_store("http://ada:secret@localhost:5000", experiment="patients", artifacts=None)
    assert "secret" not in str(refused.value)


def test_a_server_whose_certificate_is_unknown_here_answers(monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    store("https://runs.example").check_answers()  # MLflow has settings of its own for certificates


def test_a_server_that_is_not_there_does_not_answer() -> None:
    with pytest.raises(UserError, match=r"No MLflow server answers at tracking\.uri=http://127\.0\.0\.1:9"):
        store("http://127.0.0.1:9").check_answers()


def test_a_database_that_does_not_fit_the_disk_leaves_nothing_and_is_made_when_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    uri = f"sqlite:///{folder}/mlflow.db"
    with (
        files_at_most(200_000),
        pytest.raises(UserError, match=r"mlflow\.db cannot be used") as caught,
    ):
        open_store(uri, experiment="wine", artifacts=str(folder / "artifacts"))
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["mlflow.db.lock"]

    store = open_store(uri, experiment="wine", artifacts=str(folder / "artifacts"))
    assert store.client.get_experiment_by_name("wine") is not None


def test_a_server_that_is_gone_when_runs_are_looked_up_is_told(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://127.0.0.1:9"
    gone = Store(uri, MlflowClient(uri), "1")
    with pytest.raises(UserError, match=r"The runs of 2026-1 could not be looked up in http://127\.0\.0\.1:9: "):
        whole_runs(gone, "2026-1")


def test_what_the_database_refuses_is_told_once_and_in_one_line(tmp_path: Path, capsys) -> None:
    recorder = MlflowRecorder(f"sqlite:///{tmp_path}/mlflow.db", experiment="wine", artifacts=str(tmp_path / "files"))
    with (
        files_at_most(1),
        pytest.raises(UserError, match=r"could not be written to sqlite:///.*: disk I/O error") as caught,
    ):
        recorder.record([make_run()])
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == ""


def test_of_a_database_that_is_locked_the_reason_is_told() -> None:
    locked = OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))
    locked.add_detail("(raised as a result of Query-invoked autoflush)")  # type: ignore[no-untyped-call]  # SQLAlchemy left it bare
    error = MlflowException(str(locked))
    error.__cause__ = locked
    assert reason(error) == "database is locked"


@pytest.mark.parametrize("n_opened", [0, 1], ids=["no database", "a database"])
def test_what_a_command_left_that_was_killed_while_it_made_the_database_is_removed(
    tmp_path: Path, n_opened: int
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(n_opened):
        open_store(uri, experiment="wine", artifacts=str(tmp_path / "artifacts"))
    (tmp_path / ".mlflow.db.killed").mkdir()
    (tmp_path / ".mlflow.db.killed/mlflow.db").write_text("half")
    open_store(uri, experiment="wine", artifacts=str(tmp_path / "artifacts"))
    assert list(tmp_path.glob(".mlflow*")) == []
