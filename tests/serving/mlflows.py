"""MLflow's own server, and its client, for a bundle, registered and loaded as by its users."""

import warnings
from pathlib import Path

import pytest

from tests.tracking.records import make_run

with warnings.catch_warnings():  # about its own parts, while they are imported
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server
    from mlflow.pyfunc.scoring_server import client as scoring_client

from pipelines.tracking.mlflow import MlflowRecorder

__all__ = ["mlflow", "register", "scoring_client", "scoring_server"]


def register(bundle: Path, folder: Path) -> mlflow.pyfunc.PyFuncModel:
    """The bundle as training registers it, loaded by MLflow."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(folder / "artifacts"))
    (run_id,) = recorder.record([make_run()])
    recorder.settle(recorder.register(bundle, "patients", run_id), is_champion=True)
    with pytest.MonkeyPatch.context() as patched:  # set by MLflow's own call, it would hold for all later tests
        patched.setenv("MLFLOW_TRACKING_URI", uri)
        return mlflow.pyfunc.load_model("models:/patients@champion")
