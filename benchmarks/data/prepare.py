"""One table read, divided and encoded by the product, in this process; prints its figures as JSON.

Like the product's commands it leaves it to `pipelines` to load polars.
"""

import json
import sys
from time import perf_counter

import psutil

from benchmarks.data.peak import largest_bytes
from pipelines.config.schema import DataConfig
from pipelines.data import prepare_table


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
        calibration_fraction=0.0,
        folds=0,
        split_seed=0,
    )
    before = psutil.Process().memory_info().rss
    start = perf_counter()
    prepared = prepare_table(config, "auto")
    seconds = perf_counter() - start
    n_rows = sum(len(part.rows) for part in (prepared.train, prepared.validation, prepared.test))
    return {"seconds": seconds, "n_rows": n_rows, "peak_bytes": largest_bytes() - before}


if __name__ == "__main__":
    print(json.dumps(measure_prepare(sys.argv[1])))
