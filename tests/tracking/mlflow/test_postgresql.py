"""Runs on a real PostgreSQL server, behind a server of MLflow."""

import pytest
from mlflow.tracking import MlflowClient

from pipelines.tracking.mlflow import MlflowRecorder
from tests.postgresql import postgresql
from tests.tracking.records import make_run
from tests.tracking.servers import mlflow_server


@pytest.mark.slow
def test_runs_are_kept_whole(tmp_path):
    with postgresql() as storage, mlflow_server(storage, tmp_path) as uri:
        recorder = MlflowRecorder(uri, experiment="wine", artifacts=None)
        ids = recorder.record([make_run(name="first"), make_run(name="second")])

        found = {name: MlflowClient(uri).get_run(run_id) for name, run_id in zip(("first", "second"), ids, strict=True)}
        for name, run in found.items():
            assert (run.info.run_name, run.info.status) == (name, "FINISHED")
            assert run.data.metrics["validation/roc_auc"] == 0.9
            assert run.data.params["optimizer.lr"] == "0.01"
