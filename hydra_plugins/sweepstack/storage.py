"""The database of named studies: opened for one command at a time, and what fails in it said in words."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError, unwritable
from pipelines.locked import locked

if TYPE_CHECKING:
    import optuna
    from sqlalchemy import Engine

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql+psycopg://"
DIGITS = 16  # of a lock's name


@contextmanager
def open_storage(url: str, *, study: str) -> Iterator["optuna.storages.RDBStorage"]:
    """Connect for the length of the block, with the study for this command alone.

    Two commands on one study would train each other's batches, and each would tell what the other is about to tell.

    Raises:
        UserError: there can be no such database, it fails on the way, or another command has the study.
    """
    from optuna.exceptions import StorageInternalError  # noqa: PLC0415  Hydra imports this package at every start
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  likewise

    _prepare(url)
    storage = _connected(url)
    try:
        with ExitStack() as leaving:
            leaving.callback(storage.engine.dispose)
            leaving.callback(storage.remove_session)
            leaving.enter_context(_locked(storage.engine, url, study))
            yield storage
    except (SQLAlchemyError, StorageInternalError) as error:
        raise UserError(
            f"hydra.sweeper.storage={_shown(url)} failed on the way: {_reason(error)}. The same command goes on from "
            "what has been trained."
        ) from error


def _connected(url: str) -> "optuna.storages.RDBStorage":
    import optuna  # noqa: PLC0415  Hydra imports this package at every start
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  likewise

    try:
        return optuna.storages.RDBStorage(url)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
        raise UserError(
            f"hydra.sweeper.storage={_shown(url)} cannot be used: {_reason(error)}. Is the server there, are name "
            "and password right, and does the database exist?"
        ) from error


def _prepare(url: str) -> None:
    if url.startswith(POSTGRESQL):
        return
    if not url.startswith(SQLITE) or url == SQLITE:
        raise UserError(
            f"hydra.sweeper.storage={_shown(url)} keeps no study. Write {SQLITE}var/optuna.db for a file, or "
            f"{POSTGRESQL}user:password@host/database for a server."
        )
    folder = _file(url).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"hydra.sweeper.storage={url}: {folder} cannot be made ({error.strerror}).") from error


def _locked(engine: "Engine", url: str, study: str) -> AbstractContextManager[None]:
    return _locked_on_server(engine, study) if url.startswith(POSTGRESQL) else _locked_file(url, study)


@contextmanager
def _locked_file(url: str, study: str) -> Iterator[None]:
    """The lock lies beside the database, and goes with the process that holds it."""
    name = hashlib.sha256(study.encode()).hexdigest()[:DIGITS]
    path = _file(url)
    try:
        lock = locked(path.with_name(f"{path.name}.{name}.lock"))
    except BlockingIOError:
        raise _taken(study) from None
    except OSError as error:
        raise unwritable("hydra.sweeper.storage", url, error) from error
    with lock:
        yield


@contextmanager
def _locked_on_server(engine: "Engine", study: str) -> Iterator[None]:
    """The lock is the connection's: the server frees it when that closes, however the command ends."""
    from sqlalchemy import text  # noqa: PLC0415  Hydra imports this package at every start

    asked = text("SELECT pg_try_advisory_lock(hashtextextended(:study, 0))")
    # Else a transaction would stay open as long as the search.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(asked, {"study": f"study {study}"}):
            raise _taken(study)
        yield


def _taken(study: str) -> UserError:
    return UserError(
        f"Another command searches by the study {study!r} now. Wait for it, or begin another study: "
        "hydra.sweeper.study=<name>."
    )


def _file(url: str) -> Path:
    return Path(url.removeprefix(SQLITE).partition("?")[0])


def _reason(error: Exception) -> str:
    return str(error.__cause__ or error).splitlines()[0]


def _shown(url: str) -> str:
    """The address without its password."""
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}:***{at}{tail}" if at else url
