"""The model as a LitServe API; `python lit_service.py PORT` runs it."""

import os
import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime


class Scorer(litserve.LitAPI):
    """Rows in, probabilities out."""

    def setup(self, device: str) -> None:
        """Load the model, in the worker."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # of one core
        self._session = onnxruntime.InferenceSession(os.environ["MODEL_ONNX"], options)
        self._kinds = {own.name: object if "string" in own.type else float for own in self._session.get_inputs()}

    def decode_request(self, request: dict[str, Any]) -> dict[str, np.ndarray]:
        """Columns, [N, 1] each."""
        rows = request["rows"]
        return {name: np.array([[row[name]] for row in rows], dtype=kind) for name, kind in self._kinds.items()}

    def predict(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Probabilities, [N, P]."""
        predictions: np.ndarray = self._session.run(None, inputs)[0]
        return predictions

    def encode_response(self, predictions: np.ndarray) -> dict[str, Any]:
        """As JSON."""
        return {"predictions": predictions.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Scorer(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False)
