"""Scoring a whole file with `python -m serving.score`, beside bare ONNX Runtime on arrays that are in memory.

Both in processes of their own, in turns, on all cores. Ours is timed with its start, reading and writing; the bare one
with nothing but its predictions, in portions of the size that suits it best.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from benchmarks.results_file import Claim
from benchmarks.serving.effort import Effort
from benchmarks.serving.model import ROOT, Model, draw_columns, feed, open_session

LEAST_SHARE = 0.6
PORTIONS = (512, 2048, 8192)  # rows at once
TRIED_ROWS = 8192 * 4
SEED = 3


def compare_files(model: Model, effort: Effort) -> list[Claim]:
    """Score the file in turns."""
    source, output = model.folder / "file.parquet", model.folder / "predictions.parquet"
    pl.DataFrame(draw_columns(effort.file_rows, seed=SEED)).write_parquet(source)
    given = ["--model", str(model.bundles / model.name), "--input", str(source), "--output", str(output)]
    ours, bare = [], []
    for _ in range(effort.rounds):
        started = time.perf_counter()
        _run("serving.score", *given)
        ours.append(time.perf_counter() - started)
        answer = _run("benchmarks.serving.files", str(model.onnx), str(effort.file_rows))
        bare.append(json.loads(answer.splitlines()[-1]))
    _check(output, n_rows=effort.file_rows, total=bare[-1]["sum"])
    share = median(own["seconds"] / seconds for seconds, own in zip(ours, bare, strict=True))
    rows = effort.file_rows
    return [
        Claim(
            claim=f"scoring a Parquet file of {rows:,} rows, the whole command, beside bare ONNX Runtime on arrays",
            target=f"at least {LEAST_SHARE:.0%}",
            measured=f"{share:.0%} ({rows / median(ours):,.0f} against "
            f"{rows / median(own['seconds'] for own in bare):,.0f} rows/s)",
            met=share >= LEAST_SHARE,
        )
    ]


def main() -> None:
    """Seconds of bare ONNX Runtime, in this process: `python -m benchmarks.serving.files ONNX ROWS`."""
    onnx, n_rows = Path(sys.argv[1]), int(sys.argv[2])
    session = open_session(onnx, threads=os.cpu_count() or 1)
    columns = feed(draw_columns(n_rows, seed=SEED))

    def seconds_of(n_at_once: int, until: int) -> tuple[float, float]:
        started, total = time.perf_counter(), 0.0
        for start in range(0, until, n_at_once):
            portion = {name: values[start : start + n_at_once] for name, values in columns.items()}
            total += float(np.asarray(session.run(None, portion)[0], dtype=np.float64)[:, -1].sum())
        return time.perf_counter() - started, total

    seconds_of(PORTIONS[0], PORTIONS[0])  # the first prediction allocates
    best = min(PORTIONS, key=lambda n_at_once: seconds_of(n_at_once, min(TRIED_ROWS, n_rows)))
    seconds, total = seconds_of(best, n_rows)
    print(json.dumps({"seconds": seconds, "sum": total, "rows_at_once": best}))


def _run(module: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.check_output([sys.executable, "-m", module, *arguments], env=environment, text=True)


def _check(output: Path, *, n_rows: int, total: float) -> None:
    """All rows were scored, and with the same model."""
    scored = pl.read_parquet(output)
    found = float(scored[scored.columns[-1]].cast(pl.Float64).sum())
    if len(scored) != n_rows or abs(found - total) > 1e-5 * n_rows:
        raise RuntimeError(f"{len(scored):,} rows that add up to {found}, in place of {n_rows:,} and {total}")


if __name__ == "__main__":
    main()
