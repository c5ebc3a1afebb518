"""Early stopping, member by member: who improved, and who has waited long enough.

Plain bookkeeping on the CPU, once an epoch; `members` keeps the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.config.schema import EarlyStoppingConfig, StoppingConfig


@dataclass
class StoppingState:
    """One value a member.

    Attributes:
        patience: epochs without improvement that are allowed; infinite without early stopping.
        min_delta: an improvement must be larger to be worth waiting for.
        max_epochs: of each member.
        best_score: greater is better; minus infinity before the first epoch.
        best_epoch: -1 before the first epoch.
        awaited_score: of the last improvement by more than `min_delta`.
        awaited_epoch: its epoch, from which patience counts.
    """

    patience: np.ndarray
    min_delta: np.ndarray
    max_epochs: np.ndarray
    best_score: np.ndarray
    best_epoch: np.ndarray
    awaited_score: np.ndarray
    awaited_epoch: np.ndarray

    def observe(self, epoch: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take in an epoch's validation scores [K]; return masks of who improved and who stops.

        A score that is not a number never counts as an improvement.
        """
        improved = scores > self.best_score
        self.best_score = np.where(improved, scores, self.best_score)
        self.best_epoch = np.where(improved, epoch, self.best_epoch)
        enough = scores > self.awaited_score + self.min_delta
        self.awaited_score = np.where(enough, scores, self.awaited_score)
        self.awaited_epoch = np.where(enough, epoch, self.awaited_epoch)
        waited = epoch - self.awaited_epoch >= self.patience
        return improved, waited | (epoch + 1 >= self.max_epochs)

    def take(self, members: np.ndarray) -> "StoppingState":
        """The state of these members alone."""
        return StoppingState(**{name: values[members] for name, values in vars(self).items()})


def start_stopping(members: Sequence[StoppingConfig], *, max_epochs: Sequence[int]) -> StoppingState:
    """The state before the first epoch."""
    early = [member if isinstance(member, EarlyStoppingConfig) else None for member in members]
    return StoppingState(
        patience=np.array([np.inf if member is None else member.patience for member in early], dtype=np.float64),
        min_delta=np.array([0.0 if member is None else member.min_delta for member in early]),
        max_epochs=np.array(max_epochs),
        best_score=np.full(len(early), -np.inf),
        best_epoch=np.full(len(early), -1),
        awaited_score=np.full(len(early), -np.inf),
        awaited_epoch=np.full(len(early), -1),
    )
