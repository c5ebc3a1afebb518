"""`make bench-data`: a million rows read, divided and encoded, beside polars' bare read of the same file.

Each measurement is a fresh process, and the two take turns, so that a busy machine slows both alike.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl
import psutil

from benchmarks.results_file import Claim, write_results
from pipelines.config.schema import DataConfig
from pipelines.data import prepare_table

N_ROWS = 1_000_000
ROUNDS = 5
OFTEN, SELDOM = 0.3, 0.05  # how often a boolean is true, and how often a value is missing
MOST_TIMES_SLOWER = 4.0
MOST_TIMES_LARGER = 3.0
FILES = ("table.csv", "table.parquet")


def main() -> None:
    """Without arguments: measure all. With `make FOLDER`, `bare FILE` or `prepare FILE`: one step, in this process."""
    match sys.argv[1:]:
        case ["make", folder]:
            make_files(Path(folder))
        case ["bare", path]:
            print(json.dumps(measure_bare_read(Path(path))))
        case ["prepare", path]:
            print(json.dumps(measure_prepare(path)))
        case _:
            compare()


def compare() -> None:
    """Measure both files and write the claims."""
    claims = []
    with tempfile.TemporaryDirectory() as folder:
        _in_fresh_process("make", folder)
        for name in FILES:
            claims += _compare_file(str(Path(folder) / name))
    write_results("data", claims, command="make bench-data")


def make_files(folder: Path) -> None:
    """Write 19 features of every kind, with missing values, and a target; as CSV and as Parquet."""
    rng = np.random.default_rng(0)
    days = rng.integers(0, 9000, (2, N_ROWS)).astype("timedelta64[D]") + np.datetime64("2000-01-01")
    signal = rng.normal(size=N_ROWS)
    columns: dict[str, pl.Series] = {"date_0": pl.Series(days[0]), "date_1": pl.Series(days[1])}
    for place in range(8):
        columns[f"float_{place}"] = pl.Series((rng.normal(size=N_ROWS) * 10**place + signal).round(4))
    for place in range(4):
        columns[f"integer_{place}"] = pl.Series(rng.integers(0, 10 ** (place + 1), N_ROWS))
    for place in range(2):
        columns[f"boolean_{place}"] = pl.Series(rng.random(N_ROWS) < OFTEN)
    for place, n_labels in enumerate((5, 50, 500)):
        labels = pl.Series([f"label {label}" for label in range(n_labels)])
        columns[f"category_{place}"] = labels[rng.integers(0, n_labels, N_ROWS)]
    columns["target"] = pl.Series((signal + rng.normal(size=N_ROWS)).round(4))
    is_missing = pl.Series(rng.random(N_ROWS) < SELDOM)
    with_gaps = ("float_0", "float_1", "integer_0", "boolean_0", "category_0", "date_1")
    columns |= {name: columns[name].set(is_missing, None) for name in with_gaps if not name.startswith("date")}
    columns["date_1"] = pl.select(pl.when(~is_missing).then(columns["date_1"])).to_series()
    # The last column has gaps too: that is where rows that are too short have to be told from missing values.
    columns["category_3"] = pl.select(pl.when(~is_missing).then(columns["category_1"])).to_series()
    frame = pl.DataFrame(columns)
    frame.write_csv(folder / "table.csv")
    frame.write_parquet(folder / "table.parquet")


def measure_bare_read(path: Path) -> dict[str, float]:
    """Seconds of polars' own read, bytes of what it gives, and bytes by which the process grew at its largest."""
    before = psutil.Process().memory_info().rss
    start = perf_counter()
    frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    seconds = perf_counter() - start
    return {"seconds": seconds, "bytes": frame.estimated_size(), "peak_bytes": _largest_bytes() - before}


def measure_prepare(path: str) -> dict[str, float]:
    """Seconds from file to encoded parts, and the bytes by which the process grew at its largest."""
    config = DataConfig(
        source="table",
        name=None,
        path=path,
        target="target",
        drop=(),
        categorical=(),
        numeric=(),
        group=None,
        time=None,
        validation_fraction=0.2,
        test_fraction=0.2,
        split_seed=0,
    )
    before = psutil.Process().memory_info().rss
    start = perf_counter()
    prepared = prepare_table(config, "auto")
    seconds = perf_counter() - start
    n_rows = sum(len(part.rows) for part in (prepared.train, prepared.validation, prepared.test))
    if n_rows != N_ROWS:
        raise RuntimeError(f"{n_rows} rows came out of {N_ROWS}")
    return {"seconds": seconds, "peak_bytes": _largest_bytes() - before}


def _largest_bytes() -> int:
    """The most that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _compare_file(path: str) -> list[Claim]:
    rounds = [(_in_fresh_process("bare", path), _in_fresh_process("prepare", path)) for _ in range(ROUNDS)]
    bare, prepare = (median(pair[which]["seconds"] for pair in rounds) for which in (0, 1))
    table_bytes = rounds[0][0]["bytes"]
    bare_peak_bytes, peak_bytes = (median(pair[which]["peak_bytes"] for pair in rounds) for which in (0, 1))
    name = Path(path).suffix[1:].upper() if path.endswith(".csv") else "Parquet"
    slower, larger = prepare / bare, peak_bytes / table_bytes
    return [
        Claim(
            claim=f"{name}, {N_ROWS:,} x 20: read, split and encode, in times of polars' bare read",
            target=f"at most {MOST_TIMES_SLOWER:g}x",
            measured=f"{slower:.2f}x ({prepare:.2f} s against {bare:.2f} s)",
            met=slower <= MOST_TIMES_SLOWER,
        ),
        Claim(
            claim=f"{name}, {N_ROWS:,} x 20: peak memory, in times of the table in memory",
            target=f"at most {MOST_TIMES_LARGER:g}x",
            measured=f"{larger:.2f}x ({peak_bytes / 1e6:.0f} MB against {table_bytes / 1e6:.0f} MB; "
            f"polars' bare read alone peaks at {bare_peak_bytes / table_bytes:.2f}x)",
            met=larger <= MOST_TIMES_LARGER,
        ),
    ]


def _in_fresh_process(*arguments: str) -> dict[str, float]:
    answer = subprocess.check_output([sys.executable, "-m", "benchmarks.data", *arguments], text=True)
    figures: dict[str, float] = json.loads(answer or "{}")
    return figures


if __name__ == "__main__":
    main()
