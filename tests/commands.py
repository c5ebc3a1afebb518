"""Types commands as a user does, and reads back what they left in MLflow."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.serving.processes import Running, environment, running


def run(folder: Path, *words: str, timeout_seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """`python -m <words>` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


def train(folder: Path, *overrides: str) -> str:
    """A training command that must succeed; returns what it printed."""
    done = run(folder, "pipelines.train", *overrides)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a user who did nothing wrong is not warned"
    return done.stdout


def runs(folder: Path, experiment: str, *, uri: str | None = None) -> list[Any]:
    """Every run of an experiment, as MLflow returns it: in the folder's own file, or by a server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about its own imports and queries
        from mlflow.tracking import MlflowClient  # noqa: PLC0415  for that reason

        client = MlflowClient(uri or f"sqlite:///{folder / 'var' / 'mlflow.db'}")
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        return list(client.search_runs([found.experiment_id], max_results=1000))


def of_kind(found: list[Any], kind: str) -> list[Any]:
    return [own for own in found if own.data.tags["kind"] == kind]


def champion(found: list[Any]) -> Any:
    (own,) = [own for own in found if own.data.tags.get("champion") == "true"]
    return own


@contextmanager
def server(folder: Path) -> Iterator[Running]:
    """`python -m serving` in a folder, until the block ends; then SIGTERM must end it with exit code 0."""
    with running(folder) as own:
        yield own
        assert own.stop() == 0


def write_houses(path: Path, *, n_rows: int = 300) -> None:
    """A user's own table: numbers, a whole number, labels, a boolean, dates, missing values."""
    rng = np.random.default_rng(0)
    area = rng.uniform(40, 200, n_rows).round(1)
    rooms = rng.integers(1, 7, n_rows)
    town = rng.choice(["Aachen", "Bonn", "Köln"], n_rows)
    garden = rng.random(n_rows) < 0.4
    day = np.datetime64("2020-01-01") + rng.integers(0, 1500, n_rows)
    price = 3000 * area + 20_000 * rooms + 50_000 * (town == "Köln") + 30_000 * garden + rng.normal(0, 10_000, n_rows)
    frame = pl.DataFrame(
        {"area": area, "rooms": rooms, "town": town, "garden": garden, "sold": day, "price": price.round(0)}
    )
    some = pl.int_range(pl.len()) % 60 == 3
    frame = frame.with_columns(
        area=pl.when(some).then(None).otherwise("area"), town=pl.when(some.reverse()).then(None).otherwise("town")
    )
    frame.write_csv(path)
