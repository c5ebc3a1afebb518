"""Runs as a sweep records them."""

from typing import Any
from uuid import uuid4

from pipelines.tracking.recorder import RunRecord


def make_run(**changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "name": "adam, lr 0.01",
        "identity": uuid4().hex,
        "status": "FINISHED",
        "start_ms": 1_700_000_000_000,
        "end_ms": 1_700_000_050_000,
        "params": {"optimizer": "adam", "optimizer.lr": 0.01, "seed": 0},
        "tags": {"sweep": "s1", "kind": "trial"},
        "metrics": {"validation/roc_auc": 0.9, "epochs": 3.0},
        "curves": {"train/loss": [3.0, 2.0, 1.0], "validation/roc_auc": [0.7, 0.9, 0.8]},
    }
    return RunRecord(**{**values, **changes})
