"""A run as MLflow's own UI shows it."""

from pathlib import Path

import pytest

from pipelines.tracking.mlflow import MlflowRecorder, runs
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


def test_a_run_that_was_interrupted_hides_none_of_those_on_later_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs, "RUNS_A_PAGE", 2)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def recorder() -> MlflowRecorder:
        return MlflowRecorder(uri, experiment="patients", artifacts=str(tmp_path / "artifacts"))

    whole = [make_run(start_ms=start) for start in range(6)]
    ids = recorder().record(whole)
    (killed,) = recorder().record([make_run(status="KILLED", start_ms=7)])  # the newest is the first that is found
    assert recorder().record(whole) == ids
    assert read_mlflow(uri, killed).info.lifecycle_stage == "deleted"
