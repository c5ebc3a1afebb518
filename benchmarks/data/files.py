"""Writes the table that is read, so many rows x 20, as CSV and as Parquet."""

import sys
from pathlib import Path

import numpy as np
import polars as pl

OFTEN, SELDOM = 0.3, 0.05  # how often a boolean is true, and how often a value is missing


def make_files(folder: Path, n_rows: int) -> None:
    """Write 19 features of every kind, with missing values, and a target; as CSV and as Parquet."""
    rng = np.random.default_rng(0)
    days = rng.integers(0, 9000, (2, n_rows)).astype("timedelta64[D]") + np.datetime64("2000-01-01")
    signal = rng.normal(size=n_rows)
    columns: dict[str, pl.Series] = {"date_0": pl.Series(days[0]), "date_1": pl.Series(days[1])}
    for place in range(8):
        columns[f"float_{place}"] = pl.Series((rng.normal(size=n_rows) * 10**place + signal).round(4))
    for place in range(4):
        columns[f"integer_{place}"] = pl.Series(rng.integers(0, 10 ** (place + 1), n_rows))
    for place in range(2):
        columns[f"boolean_{place}"] = pl.Series(rng.random(n_rows) < OFTEN)
    for place, n_labels in enumerate((5, 50, 500)):
        labels = pl.Series([f"label {label}" for label in range(n_labels)])
        columns[f"category_{place}"] = labels[rng.integers(0, n_labels, n_rows)]
    columns["target"] = pl.Series((signal + rng.normal(size=n_rows)).round(4))
    is_missing = pl.Series(rng.random(n_rows) < SELDOM)
    with_gaps = ("float_0", "float_1", "integer_0", "boolean_0", "category_0", "date_1")
    columns |= {name: columns[name].set(is_missing, None) for name in with_gaps if not name.startswith("date")}
    columns["date_1"] = pl.select(pl.when(~is_missing).then(columns["date_1"])).to_series()
    # The last column has gaps too: that is where rows that are too short have to be told from missing values.
    columns["category_3"] = pl.select(pl.when(~is_missing).then(columns["category_1"])).to_series()
    frame = pl.DataFrame(columns)
    frame.write_csv(folder / "table.csv")
    frame.write_parquet(folder / "table.parquet")


if __name__ == "__main__":
    make_files(Path(sys.argv[1]), int(sys.argv[2]))
