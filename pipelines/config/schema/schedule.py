"""How the learning rate changes."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import ClosedFraction, Count, Divisor, Factor, Fraction, Group, NotNegative


@dataclass(frozen=True, kw_only=True)
class ScheduleBase(Group):
    """What every schedule has."""

    warmup_epochs: NotNegative  # the rate climbs from nearly 0 to the schedule's own over so many epochs


@dataclass(frozen=True, kw_only=True)
class ConstantScheduleConfig(ScheduleBase):
    """The learning rate stays."""

    kind: Literal["constant"]


@dataclass(frozen=True, kw_only=True)
class StepScheduleConfig(ScheduleBase):
    """The learning rate is multiplied by `gamma` every `every_epochs` epochs."""

    kind: Literal["step"]
    every_epochs: Count
    gamma: Factor


@dataclass(frozen=True, kw_only=True)
class ExponentialScheduleConfig(ScheduleBase):
    """The learning rate is multiplied by `gamma` every epoch."""

    kind: Literal["exponential"]
    gamma: Factor


@dataclass(frozen=True, kw_only=True)
class CosineScheduleConfig(ScheduleBase):
    """Half a cosine over all steps, from the learning rate to `final_fraction` of it (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    final_fraction: ClosedFraction


@dataclass(frozen=True, kw_only=True)
class OneCycleScheduleConfig(ScheduleBase):
    """Up to the learning rate and down again over all steps (Smith and Topin 2018)."""

    kind: Literal["one_cycle"]
    warmup_fraction: Fraction
    initial_divisor: Divisor
    final_divisor: Divisor


@dataclass(frozen=True, kw_only=True)
class PlateauScheduleConfig(ScheduleBase):
    """The rate is multiplied by `factor` after more than `patience` epochs in which validation did not improve."""

    kind: Literal["plateau"]
    factor: Fraction
    patience: Count
    min_delta: NotNegative
    final_fraction: ClosedFraction


ScheduleConfig = (
    ConstantScheduleConfig
    | StepScheduleConfig
    | ExponentialScheduleConfig
    | CosineScheduleConfig
    | OneCycleScheduleConfig
    | PlateauScheduleConfig
)
