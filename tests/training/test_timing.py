"""What a plan says of time is what a stack takes, on machines of which we know how long that is."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from pipelines.training import Timing, timing
from pipelines.training.timing import seconds_of, time_stacks
from tests.tables import small_table, trial

BEGIN, EPOCH = 0.02, 0.005
N_EPOCHS = 200


class FakeMachine:
    """Trains stacks in a time of its own; no two epochs take the same.

    Args:
        step_seconds: of a member.
        free_members: that take no longer in a step than one of them.
    """

    def __init__(self, *, step_seconds: float, free_members: int) -> None:
        self.now = 0.0
        self._step_seconds = step_seconds
        self._free_members = free_members
        self._rng = np.random.default_rng(0)

    def epoch_seconds(self, n_members: int, n_steps: int) -> float:
        return EPOCH + self._step_seconds * n_steps * max(1.0, n_members / self._free_members)

    def train_stack(self, trials, prepared, task, *, progress, device):
        self.now += BEGIN
        n_steps = int(np.ceil(len(prepared.train.rows) / trials[0].trainer.batch_size))
        for epoch in range(trials[0].trainer.max_epochs):
            self.now += self._rng.uniform(0.95, 1.05) * self.epoch_seconds(len(trials), n_steps)
            progress.epoch_ended(epoch + 1, values=np.zeros(len(trials)), n_steps=n_steps)
        progress.close()


@pytest.mark.parametrize(("step_seconds", "free_members"), [(1e-3, 1), (1e-3, 30), (1e-3, 1000), (0.1, 1)])
@pytest.mark.parametrize("n_rows", [60, 100, 1000, 40_000])
@pytest.mark.parametrize("n_trials", [1, 4, 8, 64, 512])
def test_the_time_of_a_stack_is_told_to_about_a_half(monkeypatch, step_seconds, free_members, n_rows, n_trials):
    prepared, task = small_table(n_rows=n_rows)
    machine = FakeMachine(step_seconds=step_seconds, free_members=free_members)
    monkeypatch.setattr(timing, "train_stack", machine.train_stack)
    monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
    timings = time_stacks([trial()] * n_trials, prepared, task, most=n_trials, device=torch.device("cpu"))
    n_steps = int(np.ceil(len(prepared.train.rows) / trial().trainer.batch_size))
    takes = BEGIN + N_EPOCHS * machine.epoch_seconds(n_trials, n_steps)
    assert takes / 1.5 < seconds_of(timings, [N_EPOCHS] * n_trials) < takes * 1.5


def test_a_stack_that_finds_too_little_memory_is_not_timed(monkeypatch):
    machine = FakeMachine(step_seconds=1e-3, free_members=30)

    def train_stack(trials, *arguments, **named):
        if len(trials) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        machine.train_stack(trials, *arguments, **named)

    monkeypatch.setattr(timing, "train_stack", train_stack)
    monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
    timings = time_stacks([trial()] * 64, *small_table(), most=64, device=torch.device("cpu"))
    assert [own.n_trials for own in timings] == [2, 4]


timings = st.lists(
    st.builds(Timing, n_trials=st.integers(1, 500), around_seconds=st.floats(0, 10), epoch_seconds=st.floats(0, 10)),
    min_size=1,
    max_size=4,
    unique_by=lambda own: own.n_trials,
).map(lambda own: sorted(own, key=lambda one: one.n_trials))


@given(timings=timings)
def test_a_stack_that_was_timed_takes_what_it_took(timings):
    rising = list(np.maximum.accumulate([own.epoch_seconds for own in timings]))
    timings = [replace(own, around_seconds=1.0, epoch_seconds=took) for own, took in zip(timings, rising, strict=True)]
    for own in timings:
        assert seconds_of(timings, [7] * own.n_trials) == pytest.approx(1 + 7 * own.epoch_seconds)


@given(timings=timings, n_trials=st.integers(1, 1000))
def test_more_epochs_take_longer_and_no_stack_less_than_no_time(timings, n_trials):
    assert 0 <= seconds_of(timings, [3] * n_trials) <= seconds_of(timings, [4] * n_trials)


@pytest.mark.parametrize(
    ("epochs", "computed"),
    [
        ([10, 10, 10, 10], 4 * 10),
        ([5, 5, 5, 10], 4 * 5 + 1 * 5),
        ([10, 5, 10, 5], 4 * 5 + 2 * 5),
        ([10, 10, 5, 10], 4 * 10),  # one of four that has ended is computed on
        ([4, 8, 16, 32], 4 * 8 + 2 * 8 + 1 * 16),
        ([7], 7),
    ],
)
def test_trials_that_end_early_are_counted_until_they_leave(epochs, computed):
    timings = [Timing(n_trials, around_seconds=0.0, epoch_seconds=float(n_trials)) for n_trials in (1, 4)]
    assert seconds_of(timings, epochs) == pytest.approx(computed)
