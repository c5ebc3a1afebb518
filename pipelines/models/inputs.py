"""What a net must know of the encoded table before it can be built."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from pipelines.data.folds import code_tables, number_places
from pipelines.data.prepare import PreparedTable

NEAREST_EDGES = 1e-6  # in standard deviations, as number features are scaled
MOST_ROWS = 100_000  # of the training part, evenly spread: more move a quantile by less than a thousandth


@dataclass(frozen=True)
class OwnInputs:
    """What one fold's training rows show of the layout that all folds share; the rest is always zero or unseen.

    Attributes:
        numbers: places of its number features, ascending.
        codes: of each categorical column the codes that it knows, ascending, 0 not counted.
        train_numbers: these number features of its training rows.
    """

    numbers: Int64[np.ndarray, " own"]
    codes: tuple[Int64[np.ndarray, " _known"], ...]
    train_numbers: Float32[np.ndarray, "rows own"]


@dataclass(frozen=True)
class InputFacts:
    """The inputs of a net.

    Attributes:
        n_numbers: width of the number features.
        cardinalities: categories of each categorical column, code 0 not counted.
        train_numbers: number features of the training part alone, float32 [N, n_numbers]: where bins come from.
        folds: of a table with folds; members then read what is their fold's own, and `train_numbers` is empty.
        fold_of_member: once it is known who the members are.
    """

    n_numbers: int
    cardinalities: tuple[int, ...]
    train_numbers: np.ndarray
    folds: tuple[OwnInputs, ...] = ()
    fold_of_member: tuple[int, ...] = ()

    def of_members(self, folds: Sequence[int]) -> "InputFacts":
        """The inputs of a stack whose members are of these folds; without folds all members read alike."""
        return replace(self, fold_of_member=tuple(folds)) if self.folds else self

    @property
    def members(self) -> tuple[OwnInputs, ...]:
        """One a member; none when all read alike."""
        return tuple(self.folds[fold] for fold in self.fold_of_member)

    @property
    def lacks_numbers(self) -> bool:
        """Whether a member's training rows show fewer number features than those of all."""
        return any(len(member.numbers) < self.n_numbers for member in self.members)

    def bin_edges(self, n_bins: int) -> list[np.ndarray]:
        """Quantiles of every number feature over the training rows.

        Args:
            n_bins: at most; a feature of few values has fewer.

        Returns:
            For each feature ascending float32 edges, [bins + 1]; a constant has one edge and no bin.
        """
        return _edges(self.train_numbers, self.n_numbers, n_bins)

    def fold_bin_edges(self, n_bins: int) -> list[list[np.ndarray | None]]:
        """As `bin_edges`, for each fold over its own training rows; None for a feature that is not its own."""
        return [self._fold_edges(fold, n_bins) for fold in self.folds]

    def _fold_edges(self, fold: OwnInputs, n_bins: int) -> list[np.ndarray | None]:
        edges: list[np.ndarray | None] = [None] * self.n_numbers
        own_edges = _edges(fold.train_numbers, len(fold.numbers), n_bins)
        for place, of_number in zip(fold.numbers, own_edges, strict=True):
            edges[place] = of_number
        return edges


def _edges(train_numbers: np.ndarray, n_numbers: int, n_bins: int) -> list[np.ndarray]:
    if not len(train_numbers):
        return [np.zeros(1, dtype=np.float32)] * n_numbers
    step = -(-len(train_numbers) // MOST_ROWS)
    # Values that occur, never means of two: edges of a 0/1 feature stay 0 and 1.
    quantiles = np.quantile(train_numbers[::step], np.linspace(0, 1, n_bins + 1), axis=0, method="nearest")
    return [_distinct(column) for column in quantiles.T]


def _distinct(ascending: np.ndarray) -> np.ndarray:
    """Without values so near the one before that the slope between them would be no float32."""
    return ascending[np.diff(ascending, prepend=-np.inf) > NEAREST_EDGES]


def input_facts(prepared: PreparedTable) -> InputFacts:
    """Of a prepared table."""
    encoder, numbers = prepared.encoder, prepared.train.features.numbers
    if not prepared.folds:
        return InputFacts(encoder.n_numbers, encoder.cardinalities, numbers)
    folds = []
    for place, fold in enumerate(prepared.folds):
        own_numbers = number_places(fold.encoder, encoder)
        own_codes = tuple(table[1:].astype(np.int64) for table in code_tables(fold.encoder, encoder))
        folds.append(OwnInputs(own_numbers, own_codes, numbers[place][np.ix_(fold.train, own_numbers)]))
    return InputFacts(encoder.n_numbers, encoder.cardinalities, numbers[0, :0], tuple(folds))
