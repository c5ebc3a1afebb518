"""Hydra's multirun in this process: its returns, which the command itself throws away."""

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra

from pipelines import train
from tests.config.composed import CONF


def batches(*overrides, task=train.train_trial):
    """The returns of every batch."""
    version.setbase("1.3")  # as `train.main` does
    hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(CONF)))
    try:
        return hydra.multirun("config", task, [*overrides, "hydra.mode=MULTIRUN"], with_log_configuration=False)
    finally:
        GlobalHydra.instance().clear()
