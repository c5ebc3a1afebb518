"""`mlflow models serve` of the registered model: the same bundle, as MLflow's users serve it."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.serving.model import Columns, Model
from benchmarks.serving.peers.peer import OWN_PYTHON
from benchmarks.serving.questions import JSON, Question, dumped


class MLflow:
    """`mlflow models serve` of the registered model: the same bundle, as MLflow's users serve it."""

    name = "mlflow models serve"
    package = "mlflow"
    python = OWN_PYTHON
    ready = "/ping"

    def command(self, model: Model, port: int, folder: Path) -> Sequence[str]:
        served = f"models:/{model.name}@champion"
        where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--env-manager", "local")
        return [str(OWN_PYTHON), "-m", "mlflow", "models", "serve", "--model-uri", served, *where]

    def variables(self, model: Model, folder: Path) -> Mapping[str, str]:
        # It starts its server by name, as a program of the environment.
        paths = os.pathsep.join((str(OWN_PYTHON.parent), os.environ.get("PATH", "")))
        return {"MLFLOW_TRACKING_URI": f"sqlite:///{model.folder / 'var' / 'mlflow.db'}", "PATH": paths}

    def ask(self, columns: Columns, last_class: str) -> Question:
        """`dataframe_split`, which MLflow reads fastest."""
        rows = [list(row) for row in zip(*(values.tolist() for values in columns.values()), strict=True)]
        body = dumped({"dataframe_split": {"columns": list(columns), "data": rows}})

        def read(answer: bytes) -> np.ndarray:
            return np.array([own[f"probability_{last_class}"] for own in json.loads(answer)["predictions"]])

        return Question("/invocations", body, JSON, read)
