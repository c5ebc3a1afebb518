"""Tables in folds, and each fold as a table of its own, for tests of everything that folds pass through."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from pipelines.config.schema import TaskConfig, TaskKind, TrialConfig
from pipelines.data.encode import encode_parts
from pipelines.data.prepare import Part, PreparedTable, with_folds
from pipelines.data.splits import Split, fold_rows
from pipelines.data.table import Column, Table, Target
from pipelines.tasks.task import Task, make_task
from tests.tables import trial

CLASSES: dict[str, tuple[str, ...]] = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}
AWKWARD_ROW = 3  # beside the test part; it alone has a label and a missing value, so a fold's training rows lack both


def raw_table(kind: TaskKind = "regression", *, n_rows: int = 60, awkward: bool = False) -> Table:
    """Three numbers and a category on which the target depends; `awkward`: with what one row alone has."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n_rows, 3)) * [1.0, 5.0, 0.1] + [0.0, 3.0, -1.0]
    codes = rng.integers(0, 3, size=n_rows)
    signal = numbers @ np.array([2.0, -0.2, 5.0]) + codes + 0.1 * rng.normal(size=n_rows)
    labels = np.array(["x", "y", "z"])[codes]
    if awkward:
        labels[AWKWARD_ROW], numbers[AWKWARD_ROW, 1] = "q", np.nan
    classes = CLASSES[kind]
    edges = np.quantile(signal, np.linspace(0, 1, len(classes) + 1)[1:-1]) if classes else None
    target = signal if edges is None else np.digitize(signal, edges).astype(np.int64)
    names = ("a", "b", "c")
    features = pl.DataFrame({name: numbers[:, place] for place, name in enumerate(names)})
    columns = (*(Column(name, "numeric") for name in names), Column("kind", "categorical"))
    return Table(
        "folded",
        columns,
        features.with_columns(kind=pl.Series(labels.tolist())),
        Target("t", kind, classes, "for a test"),
        target,
    )


def task_config(kind: TaskKind, **changes: Any) -> TaskConfig:
    """The defaults of a kind of task."""
    fields = {"kind": kind, "loss": "auto", "metric": "auto", "class_weights": "none", "label_smoothing": 0.0}
    return TaskConfig(**fields | changes)


def in_folds(
    table: Table, *, n_folds: int = 3, n_test: int = 12, fold_of_row: np.ndarray | None = None, **task: Any
) -> tuple[PreparedTable, Task]:
    """A table whose last rows are the test part and whose other rows are divided."""
    rows, test_rows = np.split(np.arange(table.features.height), [table.features.height - n_test])
    if fold_of_row is None:
        strata = table.target_values[rows] if table.target.classes else None
        fold_of_row = fold_rows(len(rows), n_folds=n_folds, strata=strata, seed=0)
    prepared = with_folds(table, Split(rows, rows, test_rows), fold_of_row)
    return prepared, make_task(
        task_config(table.target.kind, **task),
        kind=table.target.kind,
        classes=table.target.classes,
        train_target=prepared.train.target,
        rows_of_folds=[fold.train for fold in prepared.folds],
    )


def fold_alone(prepared: PreparedTable, fold: int, **task: Any) -> tuple[PreparedTable, Task]:
    """The table that has a fold's training rows as its training part and what it holds out as its validation part."""
    own, table = prepared.folds[fold], prepared.table
    parts = (prepared.train.rows[own.train], prepared.train.rows[own.held_out], prepared.test.rows)
    train, validation, test = (
        Part(rows, features, table.target_values[rows])
        for rows, features in zip(parts, encode_parts(own.encoder, table.features, parts), strict=True)
    )
    alone = PreparedTable(table, own.encoder, train, validation, test)
    return alone, make_task(
        task_config(table.target.kind, **task),
        kind=table.target.kind,
        classes=table.target.classes,
        train_target=train.target,
    )


def with_n_folds(own: TrialConfig, n_folds: int) -> TrialConfig:
    """The same trial on another number of folds."""
    return replace(own, data=replace(own.data, folds=n_folds))


def folded_trial(*, folds: int = 3, **changes: Any) -> TrialConfig:
    """As `tests.tables.trial`, on folds."""
    return with_n_folds(trial(**changes), folds)
