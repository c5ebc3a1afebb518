"""A run as MLflow's own UI shows it."""

from pathlib import Path

from pipelines.tracking.mlflow import MlflowRecorder
from tests.tracking.mlflow.readers import read_mlflow
from tests.tracking.records import make_run


def test_the_uis_columns_say_who_ran_what(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(tmp_path / "artifacts"))
    (run_id,) = recorder.record([make_run(tags={"code_version": "c0de"})])
    run = read_mlflow(uri, run_id)
    assert run.info.user_id == "ada"
    tags = run.data.tags
    assert (tags["mlflow.source.name"], tags["mlflow.source.git.commit"]) == ("pipelines.train", "c0de")
