"""The trials that everybody trains, and how large table and batches are; imports nothing that a peer would wait for."""

from dataclasses import dataclass
from itertools import product

import numpy as np

N_ROWS, N_COLUMNS, BATCH_ROWS = 20_000, 20, 256
LEARNING_RATES = tuple(np.geomspace(3e-4, 1e-2, 8).tolist())
DECAYS = (0.0, 0.001, 0.01, 0.1)  # AdamW's L2 is decoupled
DROPOUTS = (0.05, 0.1)


@dataclass(frozen=True)
class Setting:
    """What differs between trials."""

    learning_rate: float
    weight_decay: float
    dropout: float


SETTINGS = tuple(Setting(*values) for values in product(LEARNING_RATES, DECAYS, DROPOUTS))  # 64


def spread_settings(n_trials: int) -> tuple[Setting, ...]:
    """Some of the 64, at even distances, so that fast and slow learning rates are among them.

    Raises:
        ValueError: 64 is no multiple of their number.
    """
    if n_trials < 1 or len(SETTINGS) % n_trials:
        raise ValueError(f"{len(SETTINGS)} trials cannot be thinned evenly to {n_trials}")
    return SETTINGS[:: len(SETTINGS) // n_trials]
