"""From a `DataConfig` to encoded parts: read, divide, encode. The one door of this room for the rest."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from pipelines.config.rules import UNNAMEABLE
from pipelines.config.schema import DataConfig, TaskKind
from pipelines.data.builtin import load_builtin
from pipelines.data.encode import Encoder, Features, encode, encode_parts, fit_encoder
from pipelines.data.folds import Fold, encode_folds, make_folds
from pipelines.data.kinds import check_names, holds_single_things, kind_of, read_column
from pipelines.data.profile import Raw, raw_value
from pipelines.data.sources import column_names, read_file
from pipelines.data.splits import (
    Split,
    check_classes,
    check_fold_classes,
    check_rows,
    fold_groups,
    fold_rows,
    split_groups,
    split_rows,
    split_time,
)
from pipelines.data.table import Column, ColumnKind, Table, is_whole, without_nan
from pipelines.data.target import read_target
from pipelines.errors import UserError

RESERVED = "prediction"  # the output of an exported model; no input may have its name


@dataclass(frozen=True)
class Part:
    """One part of the rows.

    Attributes:
        rows: indices into the table, [N].
        features: encoded, in the same order; by every fold of the table, with folds as the first axis, if it has any.
        target: float64 raw units for regression, int64 class codes otherwise, [N].
    """

    rows: np.ndarray
    features: Features
    target: np.ndarray


@dataclass(frozen=True)
class PreparedTable:
    """A table with its parts, encoded by statistics of the training part alone.

    With folds the training and the validation part are one: all rows beside the other parts, each held out by one fold.

    Attributes:
        table: all of it.
        encoder: fitted on the training part. With folds it gives the layout alone; each fold has its own statistics.
        train: fits.
        validation: stops training, ranks trials, weighs ensembles.
        test: is looked at once.
        calibration: calibrates the model that was chosen, and nothing before; None where no row was set aside.
        folds: none for one validation part.
    """

    table: Table
    encoder: Encoder
    train: Part
    validation: Part
    test: Part
    calibration: Part | None = None
    folds: tuple[Fold, ...] = ()

    def encode(self, features: pl.DataFrame) -> Features:
        """Encode raw rows as the parts are: by the encoder, or by every fold's."""
        if not self.folds:
            return encode(self.encoder, features)
        (everything,) = encode_folds(self.encoder, self.folds, features, [np.arange(features.height)])
        return everything


def check_columns(config: DataConfig) -> None:
    """Look whether a table has the columns that its configuration names, without reading the rows of a file.

    Raises:
        UserError: it has not, or its names cannot be read; the same that `prepare_table` would raise.
    """
    if config.source != "table":
        frame, target_name = load_builtin(config.source)
        _check_asked(_asked_columns(config, target_name), frame.columns, origin=f"data={config.source}")
    elif config.path is not None and config.target is not None:
        path, asked = Path(config.path), _asked_columns(config, config.target)
        names = column_names(path, wanted=set(chain.from_iterable(asked.values())))
        _check_asked(asked, names, origin=str(path))


def prepare_table(config: DataConfig, kind: TaskKind | Literal["auto"]) -> PreparedTable:
    """Read a table, settle its columns and its task, divide its rows and encode them.

    A column that divides rows (`data.group`, `data.time`) is no feature: it would tell the parts apart.

    Raises:
        UserError: something about the file, a column or the task that the user can put right.
    """
    table, keys = _read_table(config, kind)
    split = _split(config, table, keys)
    if config.folds:
        rows = np.union1d(split.train, split.validation)  # the other parts are those that there are without folds
        return with_folds(table, replace(split, train=rows, validation=rows), _fold_of_row(config, table, keys, rows))
    if table.target.classes:
        check_classes(split, table.target_values, table.target)
    encoder = fit_encoder(table, split.train)
    parts = (split.train, split.validation, split.test, split.calibration)
    train, validation, test, calibration = (
        Part(rows, features, table.target_values[rows])
        for rows, features in zip(parts, encode_parts(encoder, table.features, parts), strict=True)
    )
    return PreparedTable(table, encoder, train, validation, test, calibration if len(split.calibration) else None)


def with_folds(table: Table, split: Split, fold_of_row: np.ndarray) -> PreparedTable:
    """Encode a table whose folds are settled.

    Args:
        table: typed.
        split: its parts; those of training and validation are one.
        fold_of_row: which fold holds each row of theirs out.
    """
    folds = make_folds(table, split.train, fold_of_row)
    layout = fit_encoder(table, split.train)
    parts = (split.train, split.test, split.calibration)
    part, test, calibration = (
        Part(rows, features, table.target_values[rows])
        for rows, features in zip(parts, encode_folds(layout, folds, table.features, parts), strict=True)
    )
    return PreparedTable(table, layout, part, part, test, calibration if len(split.calibration) else None, folds)


def _fold_of_row(config: DataConfig, table: Table, keys: Mapping[str, pl.Series], rows: np.ndarray) -> np.ndarray:
    """Divide the rows beside the test part: by group, or at random with every class in its share."""
    if config.group is not None:
        groups = keys[config.group].to_numpy()[rows]
        fold_of_row = fold_groups(groups, n_folds=config.folds, seed=config.split_seed)
    else:
        strata = table.target_values[rows] if table.target.classes else None
        fold_of_row = fold_rows(len(rows), n_folds=config.folds, strata=strata, seed=config.split_seed)
    check_fold_classes(fold_of_row, table.target_values[rows], table.target)
    return fold_of_row


def raw_rows(table: Table, rows: np.ndarray) -> list[dict[str, Raw]]:
    """Rows as a client sends them in JSON: ISO dates, None for missing, whole numbers where the column is whole."""
    whole = {column.name: is_whole(table.features.get_column(column.name)) for column in _with_numbers(table)}
    return [
        {
            column.name: raw_value(column.kind, values[column.name], integer=whole.get(column.name, False))
            for column in table.columns
        }
        for values in table.features[rows].iter_rows(named=True)
    ]


def _with_numbers(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind == "numeric"]


def _read(config: DataConfig) -> tuple[str, str, pl.DataFrame, str]:
    """Name of the table, where it comes from for messages, its columns, and which one is predicted."""
    if config.source != "table":
        frame, target_name = load_builtin(config.source)
        return config.name or config.source, f"data={config.source}", frame, target_name
    if config.path is None or config.target is None:
        raise UserError("data=table needs data.path and data.target: the file, and the column to predict.")
    path = Path(config.path)
    return config.name or _named_after(path), str(path), read_file(path), config.target


def _named_after(path: Path) -> str:
    """The file's name up to its first dot, without what no model may be called."""
    return UNNAMEABLE.sub("_", path.name.split(".")[0]).strip() or "table"


def _read_table(config: DataConfig, kind: TaskKind | Literal["auto"]) -> tuple[Table, Mapping[str, pl.Series]]:
    """The table, and the columns that divide its rows; rows without a target are left out."""
    name, origin, frame, target_name = _read(config)
    columns = frame.columns
    check_rows(frame.height, origin=origin)
    _check_asked(_asked_columns(config, target_name), columns, origin=origin)
    raw = {column.name: column for column in frame.iter_columns()}
    del frame  # so that a raw column goes as soon as it is read: a large table is never held twice
    target, target_values, is_kept = read_target(raw.pop(target_name), kind, origin=origin)
    check_rows(int(is_kept.sum()), origin=origin, which=" with a target")
    keys = {
        column: _read_key(raw[column], is_kept, read=read)
        for column, read in ((config.group, _groups), (config.time, _times))
        if column is not None
    }
    left_out = {*config.drop, *keys}
    names = [column for column in raw if column not in left_out]
    _check_features(names, columns=columns, origin=origin)

    def read_one(column: str) -> tuple[Column, pl.Series]:
        return read_column(raw.pop(column), origin=origin, forced=_forced(config, column))

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        read = list(threads.map(read_one, names))
    kinds = tuple(column for column, _ in read)
    features = pl.DataFrame([values for _, values in read])
    if not is_kept.all():
        features = features.filter(is_kept)
    return Table(name, kinds, features, target, target_values), keys


def _asked_columns(config: DataConfig, target_name: str) -> Mapping[str, Sequence[str]]:
    """The columns that each field names."""
    return {
        "data.target": (target_name,),
        "data.drop": config.drop,
        "data.categorical": config.categorical,
        "data.numeric": config.numeric,
        "data.group": () if config.group is None else (config.group,),
        "data.time": () if config.time is None else (config.time,),
    }


def _check_asked(asked: Mapping[str, Sequence[str]], columns: Sequence[str], *, origin: str) -> None:
    for field, names in asked.items():
        check_names(field, names, columns=columns, origin=origin)
        if field in ("data.group", "data.time") and names == asked["data.target"]:
            raise UserError(f"{field} names the target, {names[0]!r}. Rows are divided by another column than that.")


def _check_features(names: Sequence[str], *, columns: Sequence[str], origin: str) -> None:
    if not names:
        raise UserError(f"{origin}: no column is left to learn from.")
    if RESERVED in names:
        raise UserError(
            f"{origin}, column {RESERVED!r}: a served model's answer has this name. Rename it, or use data.drop."
        )
    for blank in (name for name in names if not name.strip()):
        raise UserError(
            f"{origin}: column {columns.index(blank) + 1} has no name. Name it, or leave it out with "
            f"'data.drop=[\"{blank}\"]' (pandas writes its index so unless told to_csv(index=False))."
        )


def _forced(config: DataConfig, column: str) -> ColumnKind | None:
    if column in config.categorical:
        return "categorical"
    return "numeric" if column in config.numeric else None


def _split(config: DataConfig, table: Table, keys: Mapping[str, pl.Series]) -> Split:
    fractions = {
        "validation_fraction": config.validation_fraction,
        "test_fraction": config.test_fraction,
        "calibration_fraction": config.calibration_fraction,
    }
    if config.group is not None:
        return split_groups(keys[config.group].to_numpy(), seed=config.split_seed, **fractions)
    if config.time is not None:
        return split_time(keys[config.time].to_numpy(), **fractions)
    strata = table.target_values if table.target.classes else None
    return split_rows(len(table.target_values), strata=strata, seed=config.split_seed, **fractions)


def _read_key(raw: pl.Series, is_kept: pl.Series, *, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The values that divide the kept rows: none may be missing, neither before they are read nor as they are read."""
    key = without_nan(raw)
    if not (n_missing := key.filter(is_kept).null_count()):
        key = read(key)
        n_missing = key.filter(is_kept).null_count()
    if n_missing:
        raise UserError(f"Column {raw.name!r} divides the rows but has {n_missing} missing values. Fill or drop them.")
    return key.filter(is_kept)


def _groups(key: pl.Series) -> pl.Series:
    """Names of groups."""
    if not holds_single_things(key):
        raise UserError(f"data.group: column {key.name!r} holds {key.dtype} values, which name no groups.")
    return key.cast(pl.String)


def _times(key: pl.Series) -> pl.Series:
    """Numbers that grow with time."""
    kind = kind_of(key)
    if kind not in ("numeric", "date"):
        held = f"labels such as {key.drop_nulls()[0]!r}" if kind else f"{key.dtype} values"
        raise UserError(
            f"data.time: column {key.name!r} holds {held}, which have no order in time. "
            "Give ISO dates (2024-12-31), date-times (2024-12-31T23:59) or numbers."
        )
    _, values = read_column(key, origin="data.time", forced=kind)
    return values.rank("dense")  # NumPy has no whole numbers of 128 bits
