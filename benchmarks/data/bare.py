"""One bare read by polars, in this process; prints its figures as JSON."""

import json
import sys
from pathlib import Path
from time import perf_counter

import polars as pl
import psutil

from benchmarks.data.peak import largest_bytes


def measure_bare_read(path: Path) -> dict[str, float]:
    """Seconds of polars' own read, bytes of what it gives, and bytes by which the process grew at its largest."""
    before = psutil.Process().memory_info().rss
    start = perf_counter()
    frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    seconds = perf_counter() - start
    return {"seconds": seconds, "bytes": frame.estimated_size(), "peak_bytes": largest_bytes() - before}


if __name__ == "__main__":
    print(json.dumps(measure_bare_read(Path(sys.argv[1]))))
