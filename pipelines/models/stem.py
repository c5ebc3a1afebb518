"""Encoded columns to one feature vector: the first thing that every net for tables does."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.config.schema import TabularConfig
from pipelines.models.inputs import InputFacts
from pipelines.stack.embeddings import StackedEmbedding, StackedPeriodicEmbedding


class OneHot(nn.Module):
    """One 0/1 feature for every category of every categorical column; code 0 gives zeros alone.

    Args:
        cardinalities: categories of each categorical column.
    """

    slot_column: Tensor
    slot_code: Tensor

    def __init__(self, cardinalities: tuple[int, ...]) -> None:
        super().__init__()
        columns = [column for column, size in enumerate(cardinalities) for _ in range(size)]
        codes = [code for size in cardinalities for code in range(1, size + 1)]
        self.register_buffer("slot_column", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.register_buffer("slot_code", torch.tensor(codes, dtype=torch.int64), persistent=False)
        self.n_features = len(codes)

    def forward(self, codes: Int[Tensor, "streams rows columns"]) -> Tensor:
        """0/1 as bool, [streams, rows, features]."""
        return codes.index_select(2, self.slot_column) == self.slot_code


class CategoryEmbeddings(nn.Module):
    """A learned vector for every category of every column, and one for unseen labels (code 0).

    Args:
        cardinalities: categories of each categorical column.
        width: of a vector.
        n_members: size of the stack.
    """

    first_code: Tensor

    def __init__(self, cardinalities: tuple[int, ...], width: int, *, n_members: int) -> None:
        super().__init__()
        sizes = [size + 1 for size in cardinalities]
        first = np.cumsum([0, *sizes[:-1]])
        self.register_buffer("first_code", torch.from_numpy(first), persistent=False)
        self.embedding = StackedEmbedding(sum(sizes), width, n_members=n_members)
        self.n_features = len(sizes) * width

    def forward(self, codes: Int[Tensor, "streams rows columns"]) -> Float[Tensor, "members rows features"]:
        """Look up and concatenate."""
        vectors: Tensor = self.embedding(codes + self.first_code)
        return vectors.flatten(2)


class PiecewiseLinear(nn.Module):
    """Piecewise-linear encoding (Gorishniy et al. 2022, equation 1): how far a number has come through each bin.

    A bin's feature is 0 below it, 1 above it and linear within; the first and the last go on beyond their ends.
    Nothing is learned, so all members share it and the net's first layer stays one matrix product.

    Args:
        edges: of every number's bins, ascending, as `InputFacts.bin_edges` gives them.
    """

    slot_number: Tensor
    low: Tensor
    slope: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, edges: Sequence[np.ndarray]) -> None:
        super().__init__()
        slots = [slot for number, own in enumerate(edges) for slot in _slots(number, own)]
        number, *values = zip(*slots, strict=True)
        self.register_buffer("slot_number", torch.tensor(number, dtype=torch.int64), persistent=False)
        for name, own in zip(("low", "slope", "least", "most"), values, strict=True):
            self.register_buffer(name, torch.tensor(own), persistent=False)
        self.n_features = len(slots)

    def forward(self, numbers: Float[Tensor, "streams rows numbers"]) -> Float[Tensor, "streams rows features"]:
        """Encode and concatenate."""
        passed = (numbers.index_select(2, self.slot_number) - self.low) * self.slope
        return torch.minimum(torch.maximum(passed, self.least), self.most)


def _slots(number: int, edges: np.ndarray) -> list[tuple[int, float, float, float, float]]:
    """For each bin: the number's place, where the bin begins, 1 / its width, least and greatest value."""
    low = [float(edge) for edge in edges]
    if len(low) == 1:  # a constant: what differs from it at all passes as it is
        return [(number, low[0], 1.0, -np.inf, np.inf)]
    last = len(low) - 2
    return [
        (number, low[i], 1 / (low[i + 1] - low[i]), 0.0 if i else -np.inf, 1.0 if i < last else np.inf)
        for i in range(last + 1)
    ]


class TableStem(nn.Module):
    """Numbers as they are or embedded, and behind them categories, one-hot or embedded.

    Args:
        inputs: of the net.
        config: which of these; numbers plain and categories one-hot when None.
        n_members: size of the stack.
    """

    def __init__(self, inputs: InputFacts, config: TabularConfig | None = None, *, n_members: int) -> None:
        super().__init__()
        self.numbers: PiecewiseLinear | StackedPeriodicEmbedding | None = None
        n_number_features = inputs.n_numbers
        if config is not None and inputs.n_numbers:
            self.numbers = _number_embedding(inputs, config, n_members=n_members)
        if self.numbers is not None:
            n_number_features = self.numbers.n_features
        self.categories: OneHot | CategoryEmbeddings | None = None
        if inputs.cardinalities:
            if config is not None and config.categories == "embedding":
                self.categories = CategoryEmbeddings(inputs.cardinalities, config.embedding_width, n_members=n_members)
            else:
                self.categories = OneHot(inputs.cardinalities)
        self.n_features = n_number_features + (self.categories.n_features if self.categories else 0)

    def forward(
        self, numbers: Float[Tensor, "streams rows numbers"], codes: Int[Tensor, "streams rows columns"]
    ) -> Float[Tensor, "members_or_streams rows features"]:
        """Concatenate; the first axis is of members when something is learned here, else of streams."""
        own = numbers if self.numbers is None else self.numbers(numbers)
        if self.categories is None:
            return own
        labels = self.categories(codes).to(own.dtype)
        n_slices = max(len(own), len(labels))
        return torch.cat([own.expand(n_slices, -1, -1), labels.expand(n_slices, -1, -1)], dim=2)


def _number_embedding(
    inputs: InputFacts, config: TabularConfig, *, n_members: int
) -> PiecewiseLinear | StackedPeriodicEmbedding | None:
    if config.numbers == "piecewise":
        return PiecewiseLinear(inputs.bin_edges(config.bins))
    if config.numbers == "periodic":
        return StackedPeriodicEmbedding(
            inputs.n_numbers,
            config.frequencies,
            scale=config.frequency_scale,
            width=config.number_width,
            n_members=n_members,
        )
    return None
