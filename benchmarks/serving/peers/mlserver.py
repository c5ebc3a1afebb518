"""MLServer: a runtime class, asked by the Open Inference Protocol."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.model import Columns, Model
from benchmarks.serving.peers.peer import PEERS_PYTHON, SERVICES
from benchmarks.serving.processes import free_port
from benchmarks.serving.questions import JSON, Question, dumped


class MLServer:
    """MLServer: a runtime class, asked by the Open Inference Protocol."""

    name = "MLServer"
    package = "mlserver"
    python = PEERS_PYTHON
    ready = "/v2/models/scorer/ready"

    def command(self, model: Model, port: int, folder: Path) -> Sequence[str]:
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        # Without a pool of processes beside it, it is faster on one core.
        settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
        of_model = {
            "name": "scorer",
            "implementation": "mlserver_service.Scorer",
            "parameters": {"uri": str(model.onnx)},
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (folder / "model-settings.json").write_text(json.dumps(of_model), encoding="utf-8")
        return [str(PEERS_PYTHON.parent / "mlserver"), "start", str(folder)]

    def variables(self, model: Model, folder: Path) -> Mapping[str, str]:
        return {"PYTHONPATH": str(SERVICES)}

    def ask(self, columns: Columns, last_class: str) -> Question:
        inputs: list[dict[str, Any]] = [
            {
                "name": name,
                "shape": [len(values), 1],
                "datatype": "BYTES" if values.dtype == object else "FP64",
                "data": values.tolist(),
            }
            for name, values in columns.items()
        ]

        def read(answer: bytes) -> np.ndarray:
            (output,) = json.loads(answer)["outputs"]
            return np.array(output["data"]).reshape(output["shape"])[:, -1]

        # The number is given, so that every answer is the same.
        body = dumped({"id": "1", "inputs": inputs})
        return Question("/v2/models/scorer/infer", body, JSON, read)
