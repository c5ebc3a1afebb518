"""How long stacks take on this device, found out by training some for a few epochs.

A small stack's step is mostly overhead, which a few members more do not lengthen, and a large one's mostly arithmetic:
a line through two small stacks says little of a large one. So larger and larger ones are timed, up to the whole, as
long as the next is done in a moment.
"""

import dataclasses
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from pipelines.config.schema import NoStoppingConfig, TrialConfig
from pipelines.data.encode import Features
from pipelines.data.prepare import Part, PreparedTable
from pipelines.tasks.task import Task
from pipelines.training.fit import train_stack
from pipelines.training.members import is_half_gone

SMALL = 4  # trials of the first stack that is timed, and half of it where there is no time for a larger one
OVERHEAD = 0.75  # of the time of a small stack or a short epoch, as long as nothing is known of larger or longer ones
MOST_SECONDS = 0.3  # that the next larger one may take, as far as can be told
WORTH_SECONDS = 1.0  # that the first one took, at most, for the second to be larger in any case
FEW, MANY = 4, 32  # batches that a long epoch is cut to: more where they are quick
QUICK_SECONDS = 0.03  # for an epoch, as far as can be told
LONGER = 1.5  # than an epoch of one batch: else steps would be lost in what every epoch ends with
EPOCHS = 4  # the first of them warms up
HARMLESS_RATE = 1e-30  # a member that diverges leaves its stack, and then there is nothing to measure


@dataclass(frozen=True)
class Timing:
    """Of a stack.

    Attributes:
        n_trials: in it.
        around_seconds: before its first epoch and after its last.
        epoch_seconds: of an epoch of the whole training part.
        spent_seconds: that timing it took.
    """

    n_trials: int
    around_seconds: float
    epoch_seconds: float
    spent_seconds: float = 0.0


def seconds_of(timings: Sequence[Timing], epochs: Sequence[int]) -> float:
    """How long a stack takes, from those two that were timed and are nearest to it.

    Args:
        timings: of stacks of ascending size.
        epochs: that each of its trials trains for.
    """
    around = _on_line([(timing.n_trials, timing.around_seconds) for timing in timings], len(epochs))
    points = [(timing.n_trials, timing.epoch_seconds) for timing in timings]
    return around + sum(n_epochs * _on_line(points, n_trials) for n_trials, n_epochs in _stretches(epochs))


def _stretches(epochs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """How many trials a stack computes for how many epochs: those that have ended leave it once they are the half."""
    size, done = len(epochs), 0
    for n_ended, end in enumerate(sorted(epochs), start=1):
        yield size, end - done
        done, n_left = end, len(epochs) - n_ended
        if is_half_gone(n_left, size):
            size = n_left


def time_stacks(
    trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task, *, most: int, device: torch.device
) -> list[Timing]:
    """Time stacks of some of these trials, the largest as large as can be done in a moment.

    Args:
        trials: of one architecture.
        prepared: the table; of a long training part a few batches are trained on.
        task: what is predicted.
        most: trials, at most, in a stack.
        device: where to train.
    """
    most = min(most, len(trials))
    order = np.random.default_rng(0).permutation(len(trials))  # a part has as mixed seeds and optimizers as the whole

    def timed(n_trials: int) -> Timing:
        some = [trials[place] for place in sorted(order[:n_trials].tolist())]
        return _timed([unlearning(trial, n_epochs=EPOCHS) for trial in some], prepared, task, device=device)

    timings = [timed(min(SMALL, most))]
    while timings[-1].n_trials < most:
        spent = [
            (0, OVERHEAD * timings[0].spent_seconds),
            *((timing.n_trials, timing.spent_seconds) for timing in timings),
        ]
        limit = MOST_SECONDS
        if len(timings) == 1 and timings[0].spent_seconds < WORTH_SECONDS:
            limit = max(limit, 2 * timings[0].spent_seconds)  # two small ones alone would tell little
        n_trials = _most_below(limit, spent, most)
        if n_trials < min(2 * timings[-1].n_trials, most):
            break
        try:
            timings.append(timed(n_trials))
        except torch.OutOfMemoryError:  # others may take memory meanwhile; such a stack is divided when it trains
            break
    if len(timings) == 1 < timings[0].n_trials < len(trials):
        timings.insert(0, timed(timings[0].n_trials // 2))
    return timings


def unlearning(trial: TrialConfig, *, n_epochs: int) -> TrialConfig:
    """A trial that costs what this one does, and stays in its stack for all epochs."""
    return dataclasses.replace(
        trial,
        trainer=dataclasses.replace(trial.trainer, max_epochs=n_epochs),
        stopping=NoStoppingConfig(kind="none"),
        optimizer=dataclasses.replace(trial.optimizer, lr=HARMLESS_RATE),
    )


def rows_of_an_epoch(prepared: PreparedTable) -> int:
    """Of the training part, or of the smallest fold's."""
    return min((len(fold.train) for fold in prepared.folds), default=len(prepared.train.rows))


def first_rows(prepared: PreparedTable, n_rows: int) -> PreparedTable:
    """The table with so many rows to train on."""
    if prepared.folds:
        folds = [dataclasses.replace(fold, train=fold.train[:n_rows]) for fold in prepared.folds]
        return dataclasses.replace(prepared, folds=tuple(folds))
    part = prepared.train
    features = Features(part.features.numbers[:n_rows], part.features.codes[:n_rows])
    return dataclasses.replace(prepared, train=Part(part.rows[:n_rows], features, part.target[:n_rows]))


def _timed(trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task, *, device: torch.device) -> Timing:
    started = time.perf_counter()
    whole, batch_size = rows_of_an_epoch(prepared), trials[0].trainer.batch_size
    if whole <= FEW * batch_size:
        around, epoch = _clocked(trials, prepared, task, device=device)
    else:
        _, of_one = _clocked(trials, first_rows(prepared, batch_size), task, device=device)
        quick = min(MANY, int(QUICK_SECONDS / (1 - OVERHEAD) / of_one))
        many = min(whole, batch_size * max(FEW, quick))
        around, of_many = _clocked(trials, first_rows(prepared, many), task, device=device)
        while many < whole and of_many < LONGER * of_one:
            many = min(whole, 4 * many)
            around, of_many = _clocked(trials, first_rows(prepared, many), task, device=device)
        epoch = of_many + max(0.0, of_many - of_one) / (many - batch_size) * (whole - many)
    return Timing(len(trials), around, epoch, time.perf_counter() - started)


def _clocked(
    trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task, *, device: torch.device
) -> tuple[float, float]:
    """Seconds around all epochs, and of one."""
    clock = _Clock()
    started = time.perf_counter()
    train_stack(trials, prepared, task, progress=clock, device=device)
    whole = time.perf_counter() - started
    if len(clock.ticks) == 1:  # none is left of a net that gives no numbers
        return 0.0, whole
    epoch = float(np.diff(clock.ticks).min())  # whatever else a machine does makes others longer
    return max(0.0, whole - len(clock.ticks) * epoch), epoch


def _on_line(points: Sequence[tuple[int, float]], at: int) -> float:
    """On the line through the two points around a place, or nearest to it; values do not fall."""
    if len(points) == 1:
        return points[0][1]
    right = min(max(bisect_left(points, at, key=lambda point: point[0]), 1), len(points) - 1)
    (low, least), (high, most) = points[right - 1], points[right]
    return max(0.0, most + max(0.0, most - least) / (high - low) * (at - high))


def _most_below(limit: float, points: Sequence[tuple[int, float]], most: int) -> int:
    """The largest place, up to `most`, at which the line through the last two points is below a limit."""
    (low, least), (high, value) = points[-2:]
    slope = max(0.0, value - least) / (high - low)
    return most if slope == 0 or value + slope * (most - high) <= limit else int(high + (limit - value) / slope)


@dataclass
class _Clock:
    """Notes when epochs end."""

    ticks: list[float] = field(default_factory=list)

    def epoch_ended(self, epochs: int, *, values: np.ndarray, n_steps: int) -> None:
        self.ticks.append(time.perf_counter())

    def close(self) -> None:
        """Nothing to close."""
