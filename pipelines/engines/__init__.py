"""Where stacks run. The door is `open_engine`."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.config.schema import EngineConfig, LocalEngineConfig, TrainerConfig
from pipelines.engines.engine import Engine
from pipelines.engines.job import DoneJob, Keeping, StackJob
from pipelines.engines.local import local_engine
from pipelines.engines.ray import ray_engine

__all__ = ["DoneJob", "Engine", "Keeping", "StackJob", "open_engine"]


@contextmanager
def open_engine(config: EngineConfig, trainer: TrainerConfig) -> Iterator[Engine]:
    """An engine for the length of a sweep; no process of it is left afterwards.

    Raises:
        UserError: the device, Ray or the cluster that is asked for is not there.
    """
    opened = local_engine(config, trainer) if isinstance(config, LocalEngineConfig) else ray_engine(config, trainer)
    with opened as engine:
        yield engine
