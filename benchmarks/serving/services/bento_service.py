"""The model as a BentoML service; `bentoml serve bento_service:Scorer` runs it."""

import os
from typing import Any

import bentoml
import numpy as np
import onnxruntime


@bentoml.service
class Scorer:
    """Rows in, probabilities out."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # of one core
        self._session = onnxruntime.InferenceSession(os.environ["MODEL_ONNX"], options)
        self._kinds = {own.name: object if "string" in own.type else float for own in self._session.get_inputs()}

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Probabilities, [N, P]."""
        inputs = {name: np.array([[row[name]] for row in rows], dtype=kind) for name, kind in self._kinds.items()}
        predictions: list[list[float]] = self._session.run(None, inputs)[0].tolist()
        return predictions
