"""The nets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from pipelines.config.schema.ranges import Count, Group, Positive, Rate, per_member

Activation = Literal["relu", "tanh", "sigmoid", "gelu", "silu", "none"]


@dataclass(frozen=True, kw_only=True)
class LinearConfig(Group):
    """One linear layer."""

    kind: Literal["linear"]


@dataclass(frozen=True, kw_only=True)
class TabularConfig(Group):
    """How a net for tables reads its columns; the nets below have these fields and their own."""

    kind: str
    numbers: Literal["plain", "periodic", "piecewise"]
    frequencies: Count
    frequency_scale: Positive
    number_width: Count
    bins: Count
    categories: Literal["onehot", "embedding"]
    embedding_width: Count
    activation: Activation
    dropout: Rate = per_member()


@dataclass(frozen=True, kw_only=True)
class MLPConfig(TabularConfig):
    """Hidden layers, an activation after each, dropout after each activation."""

    kind: Literal["mlp"]
    hidden: Annotated[tuple[Count, ...], MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(TabularConfig):
    """Residual blocks between a first and a last linear layer."""

    kind: Literal["resnet"]
    width: Count
    inner_width: Count
    blocks: Count


@dataclass(frozen=True, kw_only=True)
class CNNConfig(Group):
    """Convolutions over pixels, and one hidden layer."""

    kind: Literal["cnn"]
    grid: Annotated[tuple[Count, ...], MinLen(1)] | None
    channels: Annotated[tuple[Count, ...], MinLen(1)]
    kernel: Count
    width: Count
    activation: Activation
    dropout: Rate = per_member()


@dataclass(frozen=True, kw_only=True)
class GRUConfig(Group):
    """Gated recurrent layers over the steps of a sequence."""

    kind: Literal["gru"]
    steps: Count | None
    width: Count
    layers: Count
    dropout: Rate = per_member()


@dataclass(frozen=True, kw_only=True)
class CustomConfig(Group):
    """A class of the user's own."""

    kind: Literal["custom"]
    target: str
    arguments: Mapping[str, Any] | None = field(hash=False)  # a mapping has none; equal configurations are equal


ModelConfig = LinearConfig | MLPConfig | ResNetConfig | CNNConfig | GRUConfig | CustomConfig
