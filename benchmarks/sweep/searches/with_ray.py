"""Ray Tune and Lightning: `python -m benchmarks.sweep.searches.with_ray FILE WIDTH EPOCHS TRIALS`.

A trial has a core, so that two run side by side, in processes that are used again for the next trial.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.integration.pytorch_lightning import TuneReportCallback

from benchmarks.sweep.searches.table import Parts, read_parts, train_trial
from benchmarks.sweep.settings import SETTINGS, Setting

N_CORES = 2


def main() -> None:
    """Search and print the table; the last line is for whoever measures."""
    path, width, epochs, n_trials = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    ray.init(num_cpus=N_CORES, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    settings = list(SETTINGS[:: len(SETTINGS) // n_trials][:n_trials])
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_train, parts=read_parts(path), width=width, epochs=epochs), {"cpu": 1}
        ),
        param_space={"setting": tune.grid_search(settings)},
        tune_config=tune.TuneConfig(metric="validation_loss", mode="min", reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(Path.cwd() / "tune"), verbose=0),
    )
    results = tuner.fit()
    table = results.get_dataframe().sort_values("validation_loss")
    print(table[["validation_loss", "training_iteration", "config/setting"]].to_string())
    best = float(table["validation_loss"].iloc[0])
    print(json.dumps({"best": best, "n_trials": len(results) - results.num_errors}))


def _train(config: dict[str, Any], parts: Parts, width: int, epochs: int) -> None:
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    setting: Setting = config["setting"]
    report = TuneReportCallback({"validation_loss": "validation_loss"}, on="validation_end")
    train_trial(setting, parts, width=width, epochs=epochs, callbacks=(report,))


if __name__ == "__main__":
    main()
