"""Reduce the learning rate when validation no longer improves: each member by what it has shown itself.

The one schedule that is no function of the step alone, so it has a state. Plain bookkeeping, once an epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pipelines.config.schema import PlateauScheduleConfig, ScheduleConfig

OBSERVED = ("best", "waited", "scales")


@dataclass(frozen=True)
class Plateau:
    """As `torch.optim.lr_scheduler.ReduceLROnPlateau(mode="max", threshold_mode="abs")`, one value a member.

    Attributes:
        factor: by which a rate is reduced.
        patience: epochs without improvement that are allowed; infinite for members of another schedule.
        min_delta: an improvement must be larger.
        least: no rate is reduced below this share of itself.
        best: score until now.
        waited: epochs since it improved.
        scales: what each member's learning rate is multiplied by.
    """

    factor: np.ndarray
    patience: np.ndarray
    min_delta: np.ndarray
    least: np.ndarray
    best: np.ndarray
    waited: np.ndarray
    scales: np.ndarray

    @property
    def is_used(self) -> bool:
        """Whether any member has this schedule."""
        return bool(np.isfinite(self.patience).any())

    def after(self, scores: np.ndarray) -> "Plateau":
        """An epoch later, by validation scores [K]; greater is better, and what is no number is no improvement."""
        improved = scores > self.best + self.min_delta
        waited = np.where(improved, 0.0, self.waited + 1)
        is_over = waited > self.patience
        return replace(
            self,
            best=np.where(improved, scores, self.best),
            waited=np.where(is_over, 0.0, waited),
            scales=np.where(is_over, np.maximum(self.scales * self.factor, self.least), self.scales),
        )

    def take(self, members: np.ndarray) -> "Plateau":
        """Of these members alone."""
        return Plateau(**{name: values[members] for name, values in vars(self).items()})

    def observed(self) -> dict[str, Tensor]:
        """What `going_on` takes."""
        return {name: torch.from_numpy(getattr(self, name).copy()) for name in OBSERVED}

    def going_on(self, observed: Mapping[str, Tensor]) -> "Plateau":
        """Where another of the same members was."""
        return replace(self, **{name: observed[name].numpy().copy() for name in OBSERVED})


def start_plateau(schedules: Sequence[ScheduleConfig]) -> Plateau:
    """Before the first epoch; members of another schedule keep the scale 1."""
    plateaus = [schedule if isinstance(schedule, PlateauScheduleConfig) else None for schedule in schedules]
    return Plateau(
        factor=np.array([1.0 if plateau is None else plateau.factor for plateau in plateaus]),
        patience=np.array([np.inf if plateau is None else plateau.patience for plateau in plateaus], dtype=np.float64),
        min_delta=np.array([0.0 if plateau is None else plateau.min_delta for plateau in plateaus]),
        least=np.array([1.0 if plateau is None else plateau.final_fraction for plateau in plateaus]),
        best=np.full(len(plateaus), -np.inf),
        waited=np.zeros(len(plateaus)),
        scales=np.ones(len(plateaus)),
    )
