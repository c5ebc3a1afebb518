"""Ray Tune and Lightning: `python -m benchmarks.sweep.searches.with_ray FILE WIDTH EPOCHS TRIALS SIDE_BY_SIDE`.

A trial has a core, as Ray has it by default; its process is used again for the next trial.
"""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.integration.pytorch_lightning import TuneReportCallback

from benchmarks.sweep.searches.answer import Answer
from benchmarks.sweep.searches.table import Parts, read_parts, train_trial
from benchmarks.sweep.settings import Setting, spread_settings


def main() -> None:
    """Search, print the table, and answer."""
    path, width, epochs, n_trials, side_by_side = Path(sys.argv[1]), *map(int, sys.argv[2:6])
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    # A cluster of its own, whatever else of Ray runs on this machine.
    own = {"num_cpus": side_by_side, "include_dashboard": False}
    ray.init(address="local", log_to_driver=False, logging_level=logging.ERROR, **own)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_train, parts=read_parts(path), width=width, epochs=epochs), {"cpu": 1}
        ),
        param_space={"setting": tune.grid_search(list(spread_settings(n_trials)))},
        tune_config=tune.TuneConfig(metric="validation_loss", mode="min", reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(Path.cwd() / "tune"), verbose=0),
    )
    results = tuner.fit()
    table = results.get_dataframe().sort_values("validation_loss")
    print(table[["validation_loss", "training_iteration", "config/setting"]].to_string())
    ended = table[table["training_iteration"] == epochs]
    Answer(float(ended["validation_loss"].iloc[0]), tuple(map(float, ended["time_total_s"])), side_by_side).tell()


def _train(config: dict[str, Any], parts: Parts, width: int, epochs: int) -> None:
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)  # a core each
    setting: Setting = config["setting"]
    report = TuneReportCallback({"validation_loss": "validation_loss"}, on="validation_end")
    train_trial(setting, parts, width=width, epochs=epochs, callbacks=(report,))


if __name__ == "__main__":
    main()
