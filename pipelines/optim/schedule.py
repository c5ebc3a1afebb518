"""Learning-rate schedules in closed form: the factor of every member at every step.

A schedule is a function of the step alone, so a member's factor depends on nothing but its own configuration, and
training that goes on in the middle needs no scheduler state. Each equals its namesake in `torch.optim.lr_scheduler`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.config.schema import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    ExponentialScheduleConfig,
    OneCycleScheduleConfig,
    PlateauScheduleConfig,
    ScheduleConfig,
    StepScheduleConfig,
)


@dataclass(frozen=True)
class MemberSchedule:
    """One member's schedule and how long it trains."""

    config: ScheduleConfig
    n_steps: int
    steps_per_epoch: int


def schedule_factors(
    schedules: Sequence[MemberSchedule], *, first_step: int, n_steps: int
) -> Float[Tensor, "steps members"]:
    """What the learning rate is multiplied by at `n_steps` steps from `first_step`, counted from 0; float64."""
    steps = torch.arange(first_step, first_step + n_steps, dtype=torch.float64)
    columns: dict[MemberSchedule, Tensor] = {}
    for schedule in schedules:
        if schedule not in columns:
            columns[schedule] = _factors(schedule, steps) * _warmup(schedule, steps)
    return torch.stack([columns[schedule] for schedule in schedules], dim=1)


def _warmup(schedule: MemberSchedule, steps: Tensor) -> Tensor:
    """Equal steps up to 1, the first of them above 0 (Goyal et al. 2017)."""
    n_steps = round(schedule.config.warmup_epochs * schedule.steps_per_epoch)
    return ((steps + 1) / max(n_steps, 1)).clamp(max=1.0)


def _factors(schedule: MemberSchedule, steps: Tensor) -> Tensor:
    config = schedule.config
    epochs = steps.div(schedule.steps_per_epoch, rounding_mode="floor")
    # A member that has reached its last step keeps that factor until it leaves the stack.
    last_step = max(schedule.n_steps - 1, 1)
    progress = steps.clamp(max=last_step)
    match config:
        case ConstantScheduleConfig() | PlateauScheduleConfig():  # the latter's reductions are `plateau`'s
            return torch.ones_like(steps)
        case StepScheduleConfig():
            return config.gamma ** epochs.div(config.every_epochs, rounding_mode="floor")
        case ExponentialScheduleConfig():
            return config.gamma**epochs
        case CosineScheduleConfig():
            half_wave = (1 + torch.cos(math.pi * progress / schedule.n_steps)) / 2
            return config.final_fraction + (1 - config.final_fraction) * half_wave
        case OneCycleScheduleConfig():
            return _one_cycle(config, progress, last_step)


def _one_cycle(config: OneCycleScheduleConfig, steps: Tensor, last_step: int) -> Tensor:
    """Two half cosines, as `OneCycleLR(anneal_strategy="cos")` with momentum left alone."""
    peak_step = config.warmup_fraction * (last_step + 1) - 1
    start = 1 / config.initial_divisor
    end = start / config.final_divisor
    rising = _anneal(start, 1.0, (steps / peak_step) if peak_step > 0 else torch.ones_like(steps))
    falling = _anneal(1.0, end, (steps - peak_step) / (last_step - peak_step))
    return torch.where(steps <= peak_step, rising, falling)


def _anneal(start: float, end: float, fraction: Tensor) -> Tensor:
    return end + (start - end) / 2 * (1 + torch.cos(math.pi * fraction))
