"""Each schedule equals its namesake in `torch.optim.lr_scheduler` at every step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from pipelines.config.schema import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    ExponentialScheduleConfig,
    OneCycleScheduleConfig,
    StepScheduleConfig,
)
from pipelines.optim import MemberSchedule, schedule_factors

EPOCHS, STEPS_PER_EPOCH = 7, 5
TOTAL = EPOCHS * STEPS_PER_EPOCH
RATE = 0.2

CASES: list[tuple[Any, Callable[[torch.optim.Optimizer], Any], int]] = [
    (
        ConstantScheduleConfig(kind="constant", warmup_epochs=0.0),
        lambda own: lr_scheduler.ConstantLR(own, factor=1.0),
        1,
    ),
    (
        StepScheduleConfig(kind="step", warmup_epochs=0.0, every_epochs=2, gamma=0.3),
        lambda own: lr_scheduler.StepLR(own, step_size=2, gamma=0.3),
        STEPS_PER_EPOCH,
    ),
    (
        ExponentialScheduleConfig(kind="exponential", warmup_epochs=0.0, gamma=0.8),
        lambda own: lr_scheduler.ExponentialLR(own, gamma=0.8),
        STEPS_PER_EPOCH,
    ),
    (
        CosineScheduleConfig(kind="cosine", warmup_epochs=0.0, final_fraction=0.1),
        lambda own: lr_scheduler.CosineAnnealingLR(own, T_max=TOTAL, eta_min=0.1 * RATE),
        1,
    ),
    (
        OneCycleScheduleConfig(
            kind="one_cycle", warmup_epochs=0.0, warmup_fraction=0.3, initial_divisor=25.0, final_divisor=1e4
        ),
        lambda own: lr_scheduler.OneCycleLR(own, max_lr=RATE, total_steps=TOTAL, cycle_momentum=False),
        1,
    ),
]


@pytest.mark.parametrize(("config", "make", "steps_per_move"), CASES, ids=[case[0].kind for case in CASES])
def test_a_schedule_equals_its_namesake(config: Any, make: Callable[..., Any], steps_per_move: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = make(optimizer)
    expected = []
    for step in range(TOTAL):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % steps_per_move == 0:
            scheduler.step()
    factors = schedule_factors([MemberSchedule(config, TOTAL, STEPS_PER_EPOCH)], first_step=0, n_steps=TOTAL)
    torch.testing.assert_close(RATE * factors[:, 0], torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("first_step", [0, 1, 17])
def test_training_that_goes_on_in_the_middle_finds_the_same_factors(first_step: int) -> None:
    schedules = [MemberSchedule(case[0], TOTAL, STEPS_PER_EPOCH) for case in CASES]
    whole = schedule_factors(schedules, first_step=0, n_steps=TOTAL)
    rest = schedule_factors(schedules, first_step=first_step, n_steps=TOTAL - first_step)
    assert torch.equal(whole[first_step:], rest)


def test_a_member_past_its_last_step_keeps_a_finite_factor() -> None:
    schedules = [MemberSchedule(case[0], 3, 3) for case in CASES]
    factors = schedule_factors(schedules, first_step=0, n_steps=50)
    assert factors.isfinite().all()
    assert (factors >= 0).all()


@pytest.mark.parametrize("config", [case[0] for case in CASES], ids=[case[0].kind for case in CASES])
@pytest.mark.parametrize("warmup_epochs", [0.5, 2.0])
def test_warm_up_climbs_as_linear_lr_times_the_schedule(config: Any, warmup_epochs: float) -> None:
    n_warm = round(warmup_epochs * STEPS_PER_EPOCH)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    climbing = lr_scheduler.LinearLR(optimizer, start_factor=1 / n_warm, end_factor=1.0, total_iters=n_warm - 1)
    expected = []
    for _ in range(TOTAL):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        climbing.step()
    plain, warm = (replace(config, warmup_epochs=epochs) for epochs in (0.0, warmup_epochs))
    schedules = [MemberSchedule(own, TOTAL, STEPS_PER_EPOCH) for own in (plain, warm)]
    factors = schedule_factors(schedules, first_step=0, n_steps=TOTAL)
    climb = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(factors[:, 1], factors[:, 0] * climb, rtol=1e-9, atol=1e-12)
