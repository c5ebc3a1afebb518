"""The nets."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MinLen

from pipelines.config.schema.ranges import Count, Group, Rate, per_member

Activation = Literal["relu", "tanh", "sigmoid", "gelu", "silu", "none"]


@dataclass(frozen=True, kw_only=True)
class LinearConfig(Group):
    """One linear layer."""

    kind: Literal["linear"]


@dataclass(frozen=True, kw_only=True)
class MLPConfig(Group):
    """Hidden layers, an activation after each, dropout after each activation."""

    kind: Literal["mlp"]
    hidden: Annotated[tuple[Count, ...], MinLen(1)]
    activation: Activation
    dropout: Rate = per_member()


ModelConfig = LinearConfig | MLPConfig
