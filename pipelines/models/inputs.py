"""What a net must know of the encoded table before it can be built."""

from dataclasses import dataclass

import numpy as np

from pipelines.data.prepare import PreparedTable

NEAREST_EDGES = 1e-6  # in standard deviations, as number features are scaled
MOST_ROWS = 100_000  # of the training part, evenly spread: more move a quantile by less than a thousandth


@dataclass(frozen=True)
class InputFacts:
    """The inputs of a net.

    Attributes:
        n_numbers: width of the number features.
        cardinalities: categories of each categorical column, code 0 not counted.
        train_numbers: number features of the training part alone, float32 [N, n_numbers]: where bins come from.
    """

    n_numbers: int
    cardinalities: tuple[int, ...]
    train_numbers: np.ndarray

    def bin_edges(self, n_bins: int) -> list[np.ndarray]:
        """Quantiles of every number feature over the training rows.

        Args:
            n_bins: at most; a feature of few values has fewer.

        Returns:
            For each feature ascending float32 edges, [bins + 1]; a constant has one edge and no bin.
        """
        if not len(self.train_numbers):
            return [np.zeros(1, dtype=np.float32)] * self.n_numbers
        step = -(-len(self.train_numbers) // MOST_ROWS)
        # Values that occur, never means of two: edges of a 0/1 feature stay 0 and 1.
        quantiles = np.quantile(self.train_numbers[::step], np.linspace(0, 1, n_bins + 1), axis=0, method="nearest")
        return [_distinct(column) for column in quantiles.T]


def _distinct(ascending: np.ndarray) -> np.ndarray:
    """Without values so near the one before that the slope between them would be no float32."""
    return ascending[np.diff(ascending, prepend=-np.inf) > NEAREST_EDGES]


def input_facts(prepared: PreparedTable) -> InputFacts:
    """Of a prepared table."""
    encoder = prepared.encoder
    return InputFacts(encoder.n_numbers, encoder.cardinalities, prepared.train.features.numbers)
