"""When a member has learned enough."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Count, Group, NotNegative


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingConfig(Group):
    """A member stops after `patience` epochs in which validation did not improve by more than `min_delta`."""

    kind: Literal["early"]
    patience: Count
    min_delta: NotNegative


@dataclass(frozen=True, kw_only=True)
class NoStoppingConfig(Group):
    """Every member trains for `trainer.max_epochs`."""

    kind: Literal["none"]


StoppingConfig = EarlyStoppingConfig | NoStoppingConfig
