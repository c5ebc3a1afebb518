"""Small files and configurations for tests of this room."""

from pathlib import Path
from typing import Any

import polars as pl

from pipelines.config.schema import DataConfig


def table_config(path: Path, target: str, **changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "source": "table",
        "name": None,
        "path": str(path),
        "target": target,
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
    return DataConfig(**values | changes)


def mixed_frame(n_rows: int = 60) -> pl.DataFrame:
    """A column of each kind, with missing values; the target is a number."""
    place = range(n_rows)
    return pl.DataFrame(
        {
            "size": [None if row % 13 == 5 else row * 0.5 for row in place],
            "rooms": [row % 5 for row in place],
            "town": [None if row % 11 == 7 else ("Bonn", "Köln", 'a "b", c')[row % 3] for row in place],
            "garden": [row % 2 == 0 for row in place],
            "sold": pl.Series(["2024-01-31", "2023-06-30", "2020-02-29"] * (n_rows // 3)).str.to_date(),
            "price": [row * 1.25 for row in place],
        }
    )
