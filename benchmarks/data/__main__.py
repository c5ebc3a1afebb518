"""Each measurement is a fresh process, and the two take turns, so that a busy machine slows both alike.

This process itself loads neither polars nor `pipelines`: both write settings of polars' allocator into the environment,
and the measured processes would inherit them; the product's would then be without its own.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.results_file import Claim, write_results

N_ROWS = 1_000_000
ROUNDS = 5
MOST_TIMES_SLOWER = 4.0
MOST_TIMES_LARGER = 3.0
FILES = ("table.csv", "table.parquet")


def compare() -> None:
    """Measure both files and write the claims."""
    claims = []
    with tempfile.TemporaryDirectory() as folder:
        _in_fresh_process("files", folder, str(N_ROWS))
        for name in FILES:
            claims += _compare_file(str(Path(folder) / name))
    write_results("data", claims, command="make bench-data")


def _compare_file(path: str) -> list[Claim]:
    rounds = [(_in_fresh_process("bare", path), _in_fresh_process("prepare", path)) for _ in range(ROUNDS)]
    if any(prepare["n_rows"] != N_ROWS for _, prepare in rounds):
        raise RuntimeError(f"not {N_ROWS} rows came out")
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


def _in_fresh_process(step: str, *arguments: str) -> dict[str, float]:
    answer = subprocess.check_output([sys.executable, "-m", f"benchmarks.data.{step}", *arguments], text=True)
    figures: dict[str, float] = json.loads(answer or "{}")
    return figures


if __name__ == "__main__":
    compare()
