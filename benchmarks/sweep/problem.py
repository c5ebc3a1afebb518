"""The table that everybody trains on, and the product's configuration of a trial."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from benchmarks.sweep.settings import BATCH_ROWS, N_COLUMNS, N_ROWS, Setting
from pipelines.config.schema import (
    AdamWConfig,
    ConstantScheduleConfig,
    DataConfig,
    EnsembleConfig,
    LocalEngineConfig,
    MLPConfig,
    NoStoppingConfig,
    StoppingConfig,
    TaskConfig,
    TrackingConfig,
    TrainerConfig,
    TrialConfig,
)
from pipelines.data.encode import Encoder, Features, NumberEncoding
from pipelines.data.prepare import Part, PreparedTable
from pipelines.data.table import Column, Table, Target
from pipelines.tasks.task import Task, make_task

PLAIN: dict[str, Any] = {  # columns as they are; what belongs to other ways of reading them is not used
    "numbers": "plain",
    "frequencies": 1,
    "frequency_scale": 1.0,
    "number_width": 1,
    "bins": 2,
    "categories": "onehot",
    "embedding_width": 1,
}


# What a trial must name although nothing here reads a file or records a run.
DATA = DataConfig(
    source="table",
    name="bench",
    path="made",
    target="t",
    drop=(),
    categorical=(),
    numeric=(),
    group=None,
    time=None,
    validation_fraction=0.2,
    test_fraction=0.2,
    calibration_fraction=0.0,
    folds=0,
    split_seed=0,
)
TRACKING = TrackingConfig(
    kind="sqlite",
    uri="sqlite:///unused.db",
    artifacts=None,
    experiment=None,
    bundles="unused",
    checkpoints="unused",
    checkpoint_seconds=30.0,
    resume=False,
)


@dataclass(frozen=True)
class Arrays:
    """The table as arrays: standardised columns float32 [N, F], classes int64 [N]; four fifths to train on."""

    train_x: np.ndarray
    train_y: np.ndarray
    validation_x: np.ndarray
    validation_y: np.ndarray


def make_arrays() -> Arrays:
    """Two classes; which one depends on all columns, not linearly, and on chance."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_ROWS, N_COLUMNS)).astype(np.float32)
    signal = np.tanh(x @ rng.normal(size=N_COLUMNS)) + x[:, 0] * x[:, 1] / 2
    y = (signal + 0.5 * rng.normal(size=N_ROWS) > 0).astype(np.int64)
    n_train = N_ROWS * 4 // 5
    return Arrays(x[:n_train], y[:n_train], x[n_train:], y[n_train:])


def prepared_table(arrays: Arrays) -> tuple[PreparedTable, Task]:
    """The same as the product sees it."""
    names = [f"c{place}" for place in range(N_COLUMNS)]
    x = np.concatenate([arrays.train_x, arrays.validation_x])
    y = np.concatenate([arrays.train_y, arrays.validation_y])
    cuts = (0, len(arrays.train_y), N_ROWS)
    no_codes = np.zeros((N_ROWS, 0), dtype=np.int32)
    parts = [Part(np.arange(a, b), Features(x[a:b], no_codes[a:b]), y[a:b]) for a, b in pairwise(cuts)]
    table = Table(
        name="bench",
        columns=tuple(Column(name, "numeric") for name in names),
        features=pl.DataFrame({name: x[:, place] for place, name in enumerate(names)}),
        target=Target("t", "binary", ("0", "1"), "made"),
        target_values=y,
    )
    encoder = Encoder(tuple(NumberEncoding(name, 0.0, 0.0, 1.0, indicator=False) for name in names), (), ())
    config = TaskConfig(kind="binary", loss="auto", metric="auto", class_weights="none", label_smoothing=0.0)
    task = make_task(config, kind="binary", classes=("0", "1"), train_target=arrays.train_y)
    return PreparedTable(table, encoder, *parts, parts[1]), task


def trial(setting: Setting, *, width: int, epochs: int, stopping: StoppingConfig | None = None) -> TrialConfig:
    """The product's configuration of a setting."""
    return TrialConfig(
        data=DATA,
        task=TaskConfig(kind="binary", loss="auto", metric="auto", class_weights="none", label_smoothing=0.0),
        model=MLPConfig(
            kind="mlp",
            hidden=(width, width),
            activation="relu",
            dropout=setting.dropout,
            **PLAIN,
        ),
        optimizer=AdamWConfig(
            kind="adamw",
            lr=setting.learning_rate,
            weight_decay=setting.weight_decay,
            l1=0.0,
            l2=0.0,
            clip_norm=0.0,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            amsgrad=False,
        ),
        schedule=ConstantScheduleConfig(kind="constant", warmup_epochs=0.0),
        stopping=stopping or NoStoppingConfig(kind="none"),
        trainer=TrainerConfig(
            max_epochs=epochs, batch_size=BATCH_ROWS, accelerator="cpu", precision="32-true", progress=False
        ),
        seed=0,
        ensemble=EnsembleConfig(kind="none", max_members=1),
        tracking=TRACKING,
        engine=LocalEngineConfig(kind="local", memory_gb=None, devices=None),
    )
