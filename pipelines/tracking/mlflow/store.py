"""Opens the place where MLflow keeps runs: a SQLite file with a folder of artifacts, or a server.

Everything a user can get wrong about that place is said here, before any training.
"""

import logging
import os
import re
import shutil
import sqlite3
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import UserError, unwritable
from pipelines.locked import locked

ANSWER_SECONDS = 10.0
SQLITE = "sqlite:///"
DATABASE = "mlflow.store.db.utils"
LOUD_AT_FIRST_START = (DATABASE, "alembic")
TOLD_TWICE = "SQLAlchemy database error"  # with a traceback, and raised besides: then we tell it
NO_LINKS = ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, in the midst of our own table


@dataclass(frozen=True)
class Store:
    """An open tracking store and the experiment that holds this sweep's runs."""

    uri: str
    client: MlflowClient
    experiment_id: str

    @property
    def is_file(self) -> bool:
        """A SQLite file, not a server."""
        return self.uri.startswith(SQLITE)

    def check_answers(self) -> None:
        """Ask a server for a sign of life, once and without MLflow's patience.

        Raises:
            UserError: it does not answer.
        """
        if not self.is_file:
            _check_server(self.uri)


def open_store(uri: str, *, experiment: str, artifacts: str | None) -> Store:
    """Open the store, make it where it is missing, and find or make the experiment.

    Args:
        uri: `sqlite:///<path>` or `http(s)://<host>:<port>`.
        experiment: its name.
        artifacts: folder for the artifacts beside a SQLite file; a server keeps them itself, so it is not used there.

    Raises:
        UserError: the uri is malformed, the file or folder cannot be used, or the server does not answer.
    """
    kind = urlsplit(uri).scheme
    if kind == "sqlite":
        uri = _prepare_file(uri)
    elif kind in ("http", "https"):
        _check_server(uri)
        artifacts = None
    else:
        raise UserError(
            f"tracking.uri={uri} is no tracking store. Write sqlite:///<path of a file> (with tracking=sqlite), "
            "or http://<host>:<port> of an MLflow server (with tracking=server)."
        )
    os.environ.setdefault(*NO_LINKS)
    logging.getLogger(DATABASE).addFilter(_is_told_once)
    with quiet(*LOUD_AT_FIRST_START), _one_at_a_time(uri):
        try:
            client = MlflowClient(uri, registry_uri=uri)
            return Store(uri, client, _experiment_id(client, experiment, artifacts))
        except MlflowException as error:
            raise UserError(f"MLflow cannot use tracking.uri={uri}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What MLflow says, or what its database does: what SQLAlchemy puts around that is of no use to a user."""
    said_by_database = getattr(error.__cause__, "orig", None)
    return str(said_by_database or error)


def _is_told_once(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(TOLD_TWICE)


def _prepare_file(uri: str) -> str:
    """Make the folder, make sure that the file is a database, and return the uri with an absolute path."""
    if not uri.startswith(SQLITE) or not (name := uri.removeprefix(SQLITE)):
        raise UserError(f"tracking.uri={uri} names no file. Write sqlite:///var/mlflow.db, with three slashes.")
    path = Path(name).resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(f"{SQLITE}{path}"):
            for leftover in path.parent.glob(f".{escape(path.name)}.*"):  # of a command that was killed meanwhile
                shutil.rmtree(leftover, ignore_errors=True)
            if not path.exists():
                _make_database(path)
        _keep_a_log(path)  # MLflow would try a file it cannot open ten times, for minutes
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        first_line = str(error).partition("\n")[0]
        raise UserError(
            f"tracking.uri={uri}: {path} cannot be used as a SQLite file ({first_line}). "
            "Make room on a disk that is full; else choose another path, or move what is there out of the way."
        ) from error
    return f"{SQLITE}{path}"


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Of commands that begin with one file at once the first makes MLflow's database; two would both fail at it."""
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    with locked(path.with_name(f"{path.name}.lock"), waits=True):  # beside it: SQLite has locks of its own on the file
        yield


def _make_database(path: Path) -> None:
    """Let MLflow make its tables in a file beside, and put that in place whole: it cannot go on with half of them."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as workshop:
        unfinished = Path(workshop, path.name)
        _keep_a_log(unfinished)
        engine = create_sqlalchemy_engine(f"{SQLITE}{unfinished}")  # type: ignore[no-untyped-call]  # MLflow left both bare
        try:
            with quiet(*LOUD_AT_FIRST_START):
                _initialize_tables(engine)  # type: ignore[no-untyped-call]  # likewise
        finally:
            engine.dispose()
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it is in the one file that moves
        unfinished.replace(path)


def _keep_a_log(path: Path) -> None:
    """With a write-ahead log a commit waits for the disk once, and whoever looks at the UI blocks no writer."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _check_server(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        usable = parts.hostname is not None and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise UserError(f"tracking.uri={uri} names no server. Write http://<host>:<port>, e.g. http://127.0.0.1:5000.")
    if "@" in parts.netloc:
        raise UserError(
            f"tracking.uri names a user before {parts.hostname}: what is typed is kept and shown. Set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment instead."
        )
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS):  # noqa: S310  scheme is http(s)
            return
    except urllib.error.HTTPError as error:
        error.close()  # it answers; what it does not allow, MLflow will say
    except (OSError, ValueError) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLError):
            return  # it answers; MLflow has settings of its own for certificates
        raise UserError(
            f"No MLflow server answers at tracking.uri={uri} ({error}). Start it (`mlflow server --port 5000`), "
            "correct tracking.uri, or record into a file with tracking=sqlite."
        ) from error


def _artifact_location(artifacts: str, experiment: str) -> str:
    """The experiment's folder, once it is known that files can be written there."""
    folder = Path(artifacts).resolve() / re.sub(r"[^\w-]+", "_", experiment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise unwritable("tracking.artifacts", artifacts, error) from error
    return folder.as_uri()


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name) or _create_experiment(client, name, artifacts)
    if found.lifecycle_stage == "deleted":
        raise UserError(
            f"The experiment {name!r} was deleted in MLflow. Bring it back with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or choose tracking.experiment=<name>."
        )
    return str(found.experiment_id)


def _create_experiment(client: MlflowClient, name: str, artifacts: str | None) -> Experiment:
    location = None if artifacts is None else _artifact_location(artifacts, name)
    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        # Another process may have made it in the meantime.
        if (found := client.get_experiment_by_name(name)) is None:
            raise
        return found


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Hold back what these loggers announce below a warning; a user who trains a model did not ask."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
