"""LitServe: an API class, and one worker process that predicts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.serving.model import Columns, Model
from benchmarks.serving.peers.peer import PEERS_PYTHON, SERVICES
from benchmarks.serving.questions import JSON, Question, dumped, rows_as_json


class LitServe:
    """LitServe: an API class, and one worker process that predicts."""

    name = "LitServe"
    package = "litserve"
    python = PEERS_PYTHON
    ready = "/health"

    def command(self, model: Model, port: int, folder: Path) -> Sequence[str]:
        return [str(PEERS_PYTHON), str(SERVICES / "lit_service.py"), str(port)]

    def variables(self, model: Model, folder: Path) -> Mapping[str, str]:
        return {"MODEL_ONNX": str(model.onnx)}

    def ask(self, columns: Columns, last_class: str) -> Question:
        def read(answer: bytes) -> np.ndarray:
            return np.array(json.loads(answer)["predictions"])[:, -1]

        return Question("/predict", dumped({"rows": rows_as_json(columns)}), JSON, read)
