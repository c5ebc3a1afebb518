"""From a `DataConfig` to encoded parts: read, divide, encode. The one door of this room for the rest."""

from dataclasses import dataclass

import numpy as np

from pipelines.data.encode import Encoder, Features
from pipelines.data.table import Table


@dataclass(frozen=True)
class Part:
    """One part of the rows.

    Attributes:
        rows: indices into the table, [N].
        features: encoded, in the same order.
        target: float64 raw units for regression, int64 class codes otherwise, [N].
    """

    rows: np.ndarray
    features: Features
    target: np.ndarray


@dataclass(frozen=True)
class PreparedTable:
    """A table with its parts, encoded by statistics of the training part alone."""

    table: Table
    encoder: Encoder
    train: Part
    validation: Part
    test: Part
