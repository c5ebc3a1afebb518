"""Reduce the learning rate when validation no longer improves: each member by what it has shown itself.

The one schedule that is no function of the step alone, so it has a state. Plain bookkeeping, once an epoch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pipelines.config.schema import PlateauScheduleConfig, ScheduleConfig


class Plateau:
    """As `torch.optim.lr_scheduler.ReduceLROnPlateau(mode="max", threshold_mode="abs")`, one a member.

    Args:
        schedules: one a member; those of another kind keep the factor 1.
    """

    def __init__(self, schedules: Sequence[ScheduleConfig]) -> None:
        own = [schedule if isinstance(schedule, PlateauScheduleConfig) else None for schedule in schedules]
        self._factor = np.array([1.0 if one is None else one.factor for one in own])
        self._patience = np.array([np.inf if one is None else one.patience for one in own], dtype=np.float64)
        self._min_delta = np.array([0.0 if one is None else one.min_delta for one in own])
        self._least = np.array([1.0 if one is None else one.final_fraction for one in own])
        self._best = np.full(len(own), -np.inf)
        self._waited = np.zeros(len(own))
        self.scales = np.ones(len(own))  # what each member's learning rate is multiplied by

    @property
    def is_used(self) -> bool:
        """Whether any member has this schedule."""
        return bool(np.isfinite(self._patience).any())

    def observe(self, scores: np.ndarray) -> None:
        """Take in an epoch's validation scores [K]; greater is better, and what is no number is no improvement."""
        improved = scores > self._best + self._min_delta
        self._best = np.where(improved, scores, self._best)
        self._waited = np.where(improved, 0.0, self._waited + 1)
        is_over = self._waited > self._patience
        self.scales = np.where(is_over, np.maximum(self.scales * self._factor, self._least), self.scales)
        self._waited = np.where(is_over, 0.0, self._waited)

    def take_(self, members: np.ndarray) -> None:
        """Keep these members."""
        for name, values in vars(self).items():
            setattr(self, name, values[members])

    def state_dict(self) -> dict[str, Tensor]:
        """What was observed."""
        return {name: torch.from_numpy(getattr(self, name).copy()) for name in ("_best", "_waited", "scales")}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where another of the same members was."""
        for name, values in state.items():
            setattr(self, name, values.numpy().copy())
