"""A sweep that MLflow keeps in a real PostgreSQL is the one that SQLite would hold, and its champion answers."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.commands import champion, of_kind, runs, train
from tests.postgresql import postgresql
from tests.serving.processes import running
from tests.tracking.servers import mlflow_server

pytestmark = pytest.mark.slow

COMMAND = ("-m", "data=iris", "optimizer=adam,sgd", "optimizer.lr=0.01,0.1", "trainer.max_epochs=5")
N_TRIALS = 4


def told(found: list[Any]) -> dict[str, Any]:
    """Metrics, parameters and status by run, without how long it took."""
    return {
        own.data.tags["identity"]: (
            own.info.run_name,
            own.info.status,
            {name: value for name, value in own.data.metrics.items() if name != "seconds"},
            {name: value for name, value in own.data.params.items() if not name.startswith("tracking.")},
        )
        for own in found
    }


def count(storage: str, table: str) -> int:
    """Rows of a table of MLflow's, asked past MLflow."""
    with psycopg.connect(storage.replace("+psycopg", "")) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(number)


def test_a_sweep_on_postgresql_is_whole_and_its_champion_is_served(tmp_path: Path) -> None:
    in_file, by_server = tmp_path / "file", tmp_path / "server"
    for folder in (in_file, by_server):
        folder.mkdir()
    train(in_file, *COMMAND)
    with postgresql() as storage, mlflow_server(storage, tmp_path) as uri:
        printed = train(by_server, *COMMAND, "tracking=server", f"tracking.uri={uri}")
        assert "View run" not in printed, "MLflow's own links, two a run"
        found = runs(by_server, "iris", uri=uri)
        assert len(of_kind(found, "trial")) == N_TRIALS
        assert told(found) == told(runs(in_file, "iris"))
        assert count(storage, "runs") == len(found)
        assert count(storage, "metrics") > N_TRIALS

        assert champion(found).info.status == "FINISHED"
        trials = {own.info.run_id for own in of_kind(found, "trial")}
        with running(by_server, SERVING_REGISTRY=uri) as server:
            assert server.get("/ready").json()["models"] == {"iris": "1"}
            card = server.get("/models/iris").json()
            members = {own["run_id"] for own in card["contract"]["lineage"]["members"]}
            assert members
            assert members <= trials
            row = {column["name"]: column["example"] for column in card["contract"]["columns"]}
            answer = server.post("/predict", json={"rows": [row]})
            assert sum(answer.json()["predictions"][0]["probabilities"].values()) == pytest.approx(1, rel=1e-6)
            assert server.stop() == 0
