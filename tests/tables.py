"""Small prepared tables and trials, built without files, for tests of training and sweeps."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from pipelines.config.schema import (
    AdadeltaConfig,
    AdagradConfig,
    AdamConfig,
    AdamWConfig,
    CNNConfig,
    ConstantScheduleConfig,
    CustomConfig,
    DataConfig,
    EarlyStoppingConfig,
    EnsembleConfig,
    GRUConfig,
    LinearConfig,
    LocalEngineConfig,
    MLPConfig,
    MomentumConfig,
    NesterovConfig,
    NoStoppingConfig,
    ResNetConfig,
    RMSpropConfig,
    SGDConfig,
    TaskConfig,
    TaskKind,
    TrackingConfig,
    TrainerConfig,
    TrialConfig,
)
from pipelines.data.encode import CategoryEncoding, Encoder, Features, NumberEncoding
from pipelines.data.prepare import Part, PreparedTable
from pipelines.data.table import Column, Table, Target
from pipelines.tasks.task import Task, make_task

PENALTIES = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "clip_norm": 0.0}


def optimizers(**penalties: float) -> dict[str, Any]:
    """One configuration of every kind, at rates that make progress on the small tables."""
    common = PENALTIES | penalties
    return {
        "sgd": SGDConfig(kind="sgd", lr=0.1, **common),
        "momentum": MomentumConfig(kind="momentum", lr=0.03, momentum=0.9, dampening=0.0, **common),
        "nesterov": NesterovConfig(kind="nesterov", lr=0.03, momentum=0.9, **common),
        "adagrad": AdagradConfig(kind="adagrad", lr=0.05, lr_decay=0.01, initial_accumulator=0.1, eps=1e-10, **common),
        "rmsprop": RMSpropConfig(
            kind="rmsprop", lr=0.003, alpha=0.99, momentum=0.5, eps=1e-8, centered=False, **common
        ),
        "adadelta": AdadeltaConfig(kind="adadelta", lr=1.0, rho=0.9, eps=1e-6, **common),
        "adam": AdamConfig(kind="adam", lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, **common),
        "adamw": AdamWConfig(kind="adamw", lr=0.02, beta1=0.8, beta2=0.99, eps=1e-8, amsgrad=False, **common),
    }


def switched_on(optimizer: Any) -> list[Any]:
    """It with each constant that is off by default; none where there is no such."""
    options: dict[str, Any] = {"dampening": 0.3, "centered": True, "amsgrad": True}
    return [replace(optimizer, **{name: value}) for name, value in options.items() if hasattr(optimizer, name)]


def small_table(kind: TaskKind = "regression", *, n_rows: int = 60, seed: int = 0) -> tuple[PreparedTable, Task]:
    """Three numbers and one category of three labels; the target depends on all of them."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, 3)).astype(np.float32)
    codes = rng.integers(0, 4, size=(n_rows, 1)).astype(np.int32)
    signal = numbers @ np.array([2.0, -1.0, 0.5]) + codes[:, 0] + 0.1 * rng.normal(size=n_rows)
    classes: tuple[str, ...] = ()
    target = signal.astype(np.float64)
    if kind != "regression":
        classes = ("no", "yes") if kind == "binary" else ("low", "middle", "high")
        edges = np.quantile(signal, np.linspace(0, 1, len(classes) + 1)[1:-1])
        target = np.digitize(signal, edges).astype(np.int64)
    cuts = (0, n_rows // 2, 3 * n_rows // 4, n_rows)
    parts = [Part(np.arange(a, b), Features(numbers[a:b], codes[a:b]), target[a:b]) for a, b in pairwise(cuts)]
    names = ("a", "b", "c")
    table = Table(
        name="small",
        columns=(*(Column(name, "numeric") for name in names), Column("kind", "categorical")),
        features=pl.DataFrame(
            {name: numbers[:, place].astype(np.float64) for place, name in enumerate(names)}
        ).with_columns(kind=pl.Series(["", "x", "y", "z"])[codes[:, 0]]),
        target=Target("t", kind, classes, "for a test"),
        target_values=target,
    )
    encoder = Encoder(
        numbers=tuple(NumberEncoding(name, 0.0, 0.0, 1.0, indicator=False) for name in names),
        cycles=(),
        categories=(CategoryEncoding("kind", ("x", "y", "z")),),
    )
    prepared = PreparedTable(table, encoder, *parts)
    task = make_task(
        TaskConfig(kind=kind, loss="auto", metric="auto", class_weights="none", label_smoothing=0.0),
        kind=kind,
        classes=classes,
        train_target=parts[0].target,
    )
    return prepared, task


def trial(**changes: Any) -> TrialConfig:
    """A short float64 trial; `changes` replace whole fields of `TrialConfig`, or fields of its trainer."""
    trainer = {"max_epochs": 4, "batch_size": 8, "accelerator": "cpu", "precision": "64-true", "progress": False}
    trainer |= {name: changes.pop(name) for name in list(changes) if name in trainer}
    fields: dict[str, Any] = {
        "data": DataConfig(
            source="diabetes",
            name=None,
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
        ),
        "task": TaskConfig(kind="auto", loss="auto", metric="auto", class_weights="none", label_smoothing=0.0),
        "model": mlp(),
        "optimizer": optimizers()["adam"],
        "schedule": ConstantScheduleConfig(kind="constant", warmup_epochs=0.0),
        "stopping": NoStoppingConfig(kind="none"),
        "trainer": TrainerConfig(**trainer),
        "seed": 0,
        "ensemble": EnsembleConfig(kind="greedy", max_members=8),
        "tracking": TrackingConfig(
            kind="sqlite",
            uri="sqlite:///unused.db",
            artifacts=None,
            experiment=None,
            bundles="unused",
            checkpoints="unused",
            checkpoint_seconds=30.0,
            resume=True,
        ),
        "engine": LocalEngineConfig(kind="local", memory_gb=None, devices=None),
    }
    return TrialConfig(**fields | changes)


READING: dict[str, Any] = {
    "numbers": "plain",
    "frequencies": 3,
    "frequency_scale": 0.1,
    "number_width": 2,
    "bins": 4,
    "categories": "onehot",
    "embedding_width": 2,
}


def mlp(
    hidden: tuple[int, ...] = (6, 5), *, dropout: float = 0.0, activation: Any = "tanh", **reading: Any
) -> MLPConfig:
    """A small perceptron; `reading` says how it reads its columns."""
    return MLPConfig(kind="mlp", hidden=hidden, activation=activation, dropout=dropout, **READING | reading)


def resnet(*, dropout: float = 0.0, **reading: Any) -> ResNetConfig:
    """A small residual perceptron."""
    own = READING | reading
    return ResNetConfig(kind="resnet", width=4, inner_width=5, blocks=2, activation="gelu", dropout=dropout, **own)


def cnn(*, dropout: float = 0.0, grid: tuple[int, ...] | None = (1, 3)) -> CNNConfig:
    """A small convolutional net; three numbers are one row of pixels."""
    return CNNConfig(kind="cnn", grid=grid, channels=(3, 2), kernel=3, width=4, activation="relu", dropout=dropout)


def gru(*, dropout: float = 0.0, steps: int | None = None, layers: int = 2) -> GRUConfig:
    """A small recurrent net."""
    return GRUConfig(kind="gru", steps=steps, width=4, layers=layers, dropout=dropout)


def custom(net: str, *, module: str = "user_nets", **arguments: Any) -> CustomConfig:
    """A user's class in a module of `tests/models/`."""
    return CustomConfig(kind="custom", target=f"tests.models.{module}.{net}", arguments=arguments or None)


def linear() -> LinearConfig:
    """A linear net."""
    return LinearConfig(kind="linear")


def early(patience: int, *, min_delta: float = 0.0) -> EarlyStoppingConfig:
    """Early stopping."""
    return EarlyStoppingConfig(kind="early", patience=patience, min_delta=min_delta)
