"""What a search by Optuna is told: `conf/hydra/sweeper/optuna.yaml`. It belongs to the sweeper, not to a trial."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Count, Seed


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How trials are proposed."""

    n_trials: Count
    batch_size: Count
    sampler: Literal["tpe", "random", "qmc"]
    seed: Seed
    study: str | None  # None: in memory
    storage: str  # of named studies
