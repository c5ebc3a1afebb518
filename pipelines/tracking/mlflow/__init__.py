"""The recorder for MLflow; the only package that imports mlflow, which takes a second: import it where it is used."""

import os

# A sweep sends nothing anywhere by itself. Where a user has decided otherwise, that holds.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# MLflow waits 0, 4, 8, 16, 32 s between attempts: a server that restarts is waited for a minute. Its own 7
# attempts make a user wait 4 minutes for each request to a server that is gone.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
# Of an attempt that nobody answers, as where a firewall swallows it; MLflow's own 120 s make that a quarter of an hour.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
# A bundle is two small files; bars between the lines of a sweep tell nobody anything.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

# MLflow reads the first of them when it is imported.
from pipelines.tracking.mlflow.recorder import MlflowRecorder as MlflowRecorder
