"""The rate that is recorded of an epoch is one that the epoch was trained with: that of its last step."""

import dataclasses

import pytest

from pipelines.config.schema import (
    CosineScheduleConfig,
    ExponentialScheduleConfig,
    OneCycleScheduleConfig,
    PlateauScheduleConfig,
    ScheduleConfig,
    StepScheduleConfig,
)
from pipelines.optim.schedule import MemberSchedule, schedule_factors
from pipelines.training import fit
from tests.tables import linear, optimizers, small_table, trial

N_EPOCHS, N_STEPS = 4, 4  # 30 rows in portions of 8


def recorded(schedule: ScheduleConfig, lr: float = 0.01) -> list[float]:
    prepared, task = small_table()
    optimizer = dataclasses.replace(optimizers()["sgd"], lr=lr)
    (member,) = fit(
        [trial(schedule=schedule, optimizer=optimizer, model=linear(), max_epochs=N_EPOCHS)], prepared, task
    )
    return list(member.curves["learning_rate"])


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (ExponentialScheduleConfig(kind="exponential", warmup_epochs=0.0, gamma=0.5), [0.01, 0.005, 0.0025, 0.00125]),
        (StepScheduleConfig(kind="step", warmup_epochs=0.0, every_epochs=2, gamma=0.1), [0.01, 0.01, 0.001, 0.001]),
        (
            PlateauScheduleConfig(
                kind="plateau", warmup_epochs=0.0, factor=0.5, patience=0, min_delta=1e9, final_fraction=0.0
            ),
            [0.01, 0.01, 0.005, 0.0025],  # the first epoch improves on nothing, the others by less than is asked for
        ),
    ],
    ids=["exponential", "step", "plateau"],
)
def test_a_rate_that_changes_between_epochs_is_that_of_the_epoch(schedule: ScheduleConfig, rates: list[float]) -> None:
    assert recorded(schedule) == pytest.approx(rates)


@pytest.mark.parametrize(
    "schedule",
    [
        CosineScheduleConfig(kind="cosine", warmup_epochs=1.5, final_fraction=0.0),
        OneCycleScheduleConfig(
            kind="one_cycle", warmup_epochs=0.0, warmup_fraction=0.3, initial_divisor=25.0, final_divisor=1e4
        ),
    ],
    ids=["cosine", "one_cycle"],
)
def test_a_rate_that_changes_in_every_step_is_that_of_the_epochs_last(schedule: ScheduleConfig) -> None:
    factors = schedule_factors(
        [MemberSchedule(schedule, N_EPOCHS * N_STEPS, N_STEPS)], first_step=0, n_steps=N_EPOCHS * N_STEPS
    )
    of_last_steps = (0.01 * factors[N_STEPS - 1 :: N_STEPS, 0]).tolist()
    assert recorded(schedule) == pytest.approx(of_last_steps)


def test_a_divergence_names_the_rate_that_it_happened_at() -> None:
    prepared, task = small_table()
    optimizer = dataclasses.replace(optimizers()["sgd"], lr=1e200)
    schedule = ExponentialScheduleConfig(kind="exponential", warmup_epochs=0.0, gamma=0.5)
    (member,) = fit([trial(schedule=schedule, optimizer=optimizer, model=linear())], prepared, task)
    assert member.failure is not None
    assert "Diverged in epoch 0 at learning rate 1e+200" in member.failure
