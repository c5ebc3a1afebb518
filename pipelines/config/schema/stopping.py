"""When a member has learned enough."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from pipelines.config.schema.ranges import Count, Group, NotNegative, WholeNumber


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


@dataclass(frozen=True, kw_only=True)
class HalvingConfig(Group):
    """Of all trials of the sweep the best 1/eta train on after `min_epochs`, `min_epochs * eta`, ... epochs."""

    kind: Literal["halving"]
    eta: Annotated[WholeNumber, Ge(2), Le(4)]
    min_epochs: Count


StoppingConfig = EarlyStoppingConfig | NoStoppingConfig | HalvingConfig
