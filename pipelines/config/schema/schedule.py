"""How the learning rate changes."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import ClosedFraction, Count, Divisor, Factor, Fraction, Group


@dataclass(frozen=True, kw_only=True)
class ConstantScheduleConfig(Group):
    """The learning rate stays."""

    kind: Literal["constant"]


@dataclass(frozen=True, kw_only=True)
class StepScheduleConfig(Group):
    """The learning rate is multiplied by `gamma` every `every_epochs` epochs."""

    kind: Literal["step"]
    every_epochs: Count
    gamma: Factor


@dataclass(frozen=True, kw_only=True)
class ExponentialScheduleConfig(Group):
    """The learning rate is multiplied by `gamma` every epoch."""

    kind: Literal["exponential"]
    gamma: Factor


@dataclass(frozen=True, kw_only=True)
class CosineScheduleConfig(Group):
    """Half a cosine over all steps, from the learning rate to `final_fraction` of it (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    final_fraction: ClosedFraction


@dataclass(frozen=True, kw_only=True)
class OneCycleScheduleConfig(Group):
    """Up to the learning rate and down again over all steps (Smith and Topin 2018)."""

    kind: Literal["one_cycle"]
    warmup_fraction: Fraction
    initial_divisor: Divisor
    final_divisor: Divisor


ScheduleConfig = (
    ConstantScheduleConfig
    | StepScheduleConfig
    | ExponentialScheduleConfig
    | CosineScheduleConfig
    | OneCycleScheduleConfig
)
