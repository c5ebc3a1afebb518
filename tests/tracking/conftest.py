"""MLflow warns while its parts are imported, about itself; our filters would turn that into errors."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  imported for what importing it does

from pipelines.tracking.mlflow.store import open_store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of MLflow's with all of its tables and no experiment of ours: to make one takes a second."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    open_store(f"sqlite:///{path}", experiment="Default", artifacts=None)
    return path


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path) -> str:
    """An empty store of the test's own, made already."""
    path = tmp_path / "mlflow.db"
    # What SQLite's own copying sees is whole, whatever lies in the log beside the file.
    with closing(sqlite3.connect(empty_store)) as made, closing(sqlite3.connect(path)) as own:
        made.backup(own)
    return f"sqlite:///{path}"
