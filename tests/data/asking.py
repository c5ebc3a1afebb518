"""A `DataConfig` for a test: the defaults of conf/data, and what the test changes."""

from pathlib import Path
from typing import Any

import polars as pl

from pipelines.config.schema import DataConfig
from pipelines.data import PreparedTable, prepare_table

DEFAULTS: dict[str, Any] = {
    "source": "table",
    "name": None,
    "path": None,
    "target": "y",
    "drop": (),
    "categorical": (),
    "numeric": (),
    "group": None,
    "time": None,
    "validation_fraction": 0.2,
    "test_fraction": 0.2,
    "calibration_fraction": 0.0,
    "folds": 0,
    "split_seed": 0,
}


def asked(**changes: Any) -> DataConfig:
    return DataConfig(**DEFAULTS | changes)


def prepared(frame: pl.DataFrame, folder: Path, *, kind: Any = "auto", **changes: Any) -> PreparedTable:
    path = folder / "table.parquet"
    frame.write_parquet(path)
    return prepare_table(asked(path=str(path), **changes), kind)
