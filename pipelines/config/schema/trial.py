"""One trial, whole."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Discriminator

from pipelines.config.schema.data import DataConfig
from pipelines.config.schema.engine import EngineConfig
from pipelines.config.schema.model import ModelConfig
from pipelines.config.schema.optimizer import OptimizerConfig
from pipelines.config.schema.ranges import Group, Seed, per_member, per_sweep
from pipelines.config.schema.running import EnsembleConfig, TrackingConfig, TrainerConfig
from pipelines.config.schema.schedule import ScheduleConfig
from pipelines.config.schema.stopping import StoppingConfig
from pipelines.config.schema.task import TaskConfig


@dataclass(frozen=True, kw_only=True)
class TrialConfig(Group):
    """One trial, resolved: everything that its numbers depend on, and where they are recorded."""

    data: DataConfig
    task: TaskConfig
    model: Annotated[ModelConfig, Discriminator("kind")]
    optimizer: Annotated[OptimizerConfig, Discriminator("kind")] = per_member()
    schedule: Annotated[ScheduleConfig, Discriminator("kind")] = per_member()
    stopping: Annotated[StoppingConfig, Discriminator("kind")] = per_member()
    trainer: TrainerConfig
    seed: Seed = per_member()
    ensemble: EnsembleConfig = per_sweep()
    tracking: TrackingConfig = per_sweep()
    engine: Annotated[EngineConfig, Discriminator("kind")] = per_sweep()
