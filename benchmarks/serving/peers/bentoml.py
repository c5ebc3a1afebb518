"""BentoML: a service class with one method."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.serving.model import Columns, Model
from benchmarks.serving.peers.peer import PEERS_PYTHON, SERVICES
from benchmarks.serving.questions import JSON, Question, dumped, rows_as_json


class BentoML:
    """BentoML: a service class with one method."""

    name = "BentoML"
    package = "bentoml"
    python = PEERS_PYTHON
    ready = "/readyz"

    def command(self, model: Model, port: int, folder: Path) -> Sequence[str]:
        where = ("--host", "127.0.0.1", "--port", str(port), "--working-dir", str(SERVICES))
        return [str(PEERS_PYTHON), "-m", "bentoml", "serve", "bento_service:Scorer", *where]

    def variables(self, model: Model, folder: Path) -> Mapping[str, str]:
        return {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True", "MODEL_ONNX": str(model.onnx)}

    def ask(self, columns: Columns, last_class: str) -> Question:
        def read(answer: bytes) -> np.ndarray:
            return np.array(json.loads(answer))[:, -1]

        return Question("/predict", dumped({"rows": rows_as_json(columns)}), JSON, read)
