"""Reads what was recorded with MLflow's own client."""

from mlflow.entities import Run
from mlflow.tracking import MlflowClient


def client_of(uri: str) -> MlflowClient:
    return MlflowClient(uri, registry_uri=uri)


def read_mlflow(uri: str, run_id: str) -> Run:
    return client_of(uri).get_run(run_id)
