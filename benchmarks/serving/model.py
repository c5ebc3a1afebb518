"""The model that everybody serves: made by the commands that a user types, in a folder of the benchmark's own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl

ROOT = Path(__file__).parents[2]
N_ROWS, N_NUMBERS, LABELS = 6000, 17, (3, 8, 20)  # 20 columns, three of them categories
N_MEMBERS, WIDTH = 16, 128
TRAINING = (
    *("data=table", "data.path=rows.parquet", "data.target=answer", "trainer.accelerator=cpu"),
    *("trainer.progress=false", "stopping=none", "ensemble=mean", f"ensemble.max_members={N_MEMBERS}"),
)
# Nets that fit chance, each in its own way: their mean is better than any of them, so that the ensemble is served.
ENSEMBLE = (f"model.hidden=[{WIDTH},{WIDTH}]", "model.dropout=0", "trainer.max_epochs=10", "optimizer.lr=0.003")
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Model:
    """A trained model that is a champion.

    Attributes:
        folder: with `var/bundles` and `var/mlflow.db`, as training left it.
        name: of the model, in both.
        contract: of the bundle.
    """

    folder: Path
    name: str
    contract: Mapping[str, Any]

    @property
    def bundles(self) -> Path:
        """What `python -m serving` is given."""
        return self.folder / "var" / "bundles"

    @property
    def onnx(self) -> Path:
        """The file that every server serves."""
        return self.bundles / self.name / "1" / "model.onnx"

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the predictions' columns."""
        return tuple(self.contract["target"]["classes"])


def draw_columns(n_rows: int, *, seed: int) -> dict[str, np.ndarray]:
    """Columns, [N] each: numbers with four digits, and labels."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {f"number {place}": rng.normal(size=n_rows).round(4) for place in range(N_NUMBERS)}
    for place, n_labels in enumerate(LABELS):
        labels = np.array([f"label {label}" for label in range(n_labels)], dtype=object)
        columns[f"category {place}"] = labels[rng.integers(0, n_labels, n_rows)]
    return columns


def train_ensemble(folder: Path) -> Model:
    """16 members with two hidden layers of 128.

    Raises:
        RuntimeError: training failed, or something else than the ensemble is served.
    """
    model = _train(folder, name="ensemble", overrides=(*ENSEMBLE, f"seed=range(0,{N_MEMBERS})"))
    n_members = len(model.contract["lineage"]["members"])
    if n_members != N_MEMBERS:
        raise RuntimeError(f"{N_MEMBERS} members were to be served, not {n_members}: one was better than their mean.")
    return model


def train_linear(folder: Path) -> Model:
    """The smallest model of the same columns: what it costs is reading and writing."""
    return _train(folder, name="linear", overrides=("model=linear", "trainer.max_epochs=10", "seed=0,1"))


def open_session(onnx: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Bare ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])


def feed(columns: Columns) -> dict[str, np.ndarray]:
    """Columns as the graph takes them: [N, 1] each."""
    return {name: values.reshape(-1, 1) for name, values in columns.items()}


def _train(folder: Path, *, name: str, overrides: tuple[str, ...]) -> Model:
    folder.mkdir(parents=True)
    columns = draw_columns(N_ROWS, seed=0)
    rng = np.random.default_rng(1)
    score = columns["number 0"] - columns["number 1"] * columns["number 2"] + (columns["category 0"] == "label 1")
    answer = np.where(score + 1.5 * rng.normal(size=N_ROWS) > 0, "yes", "no")
    pl.DataFrame({**columns, "answer": answer}).write_parquet(folder / "rows.parquet")
    command = [sys.executable, "-m", "pipelines.train", "-m", f"data.name={name}", *TRAINING, *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"Training failed:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    contract = json.loads((folder / "var" / "bundles" / name / "1" / "contract.json").read_text(encoding="utf-8"))
    return Model(folder, name, contract)
