"""Encoded columns to one feature vector: the first thing that every net for tables does."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from pipelines.config.schema import TabularConfig
from pipelines.errors import UserError
from pipelines.models.inputs import InputFacts
from pipelines.stack.embeddings import StackedEmbedding, StackedPeriodicEmbedding
from pipelines.stack.layers import StackedLayer

Slot = tuple[int, float, float, float, float]  # place of a number, and for one of its bins what follows
SLOT_VALUES = ("low", "slope", "least", "most")


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
        return (_whole_columns(codes, self.slot_column) == self.slot_code[:, None]).transpose(1, 2)


class CategoryEmbeddings(nn.Module):
    """A learned vector for every category of every column; code 0 gives zeros, as in `OneHot`.

    Args:
        inputs: of the net; says which categories there are.
        width: of a vector.
        n_members: size of the stack.
    """

    first_code: Tensor

    def __init__(self, inputs: InputFacts, width: int, *, n_members: int) -> None:
        super().__init__()
        sizes = [size + 1 for size in inputs.cardinalities]
        first = np.cumsum([0, *sizes[:-1]])
        every = tuple(np.arange(1, size) for size in sizes)
        of_members = [member.codes for member in inputs.members] or [every] * n_members
        known = [side_by_side(sizes, codes) for codes in of_members]
        self.register_buffer("first_code", torch.from_numpy(first), persistent=False)
        self.embedding = StackedEmbedding(sum(sizes), width, n_members=n_members, own_codes=known)
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
        slots = [slot for number, of_number in enumerate(edges) for slot in _slots(number, of_number)]
        number, *values = zip(*slots, strict=True)
        self.register_buffer("slot_number", torch.tensor(number, dtype=torch.int64), persistent=False)
        for name, of_slots in zip(SLOT_VALUES, values, strict=True):
            self.register_buffer(name, torch.tensor(of_slots), persistent=False)
        self.n_features = len(slots)

    def forward(self, numbers: Float[Tensor, "streams rows numbers"]) -> Float[Tensor, "streams rows features"]:
        """Encode and concatenate."""
        low, slope, least, most = (getattr(self, name)[:, None] for name in SLOT_VALUES)
        passed = (_whole_columns(numbers, self.slot_number) - low) * slope
        return torch.minimum(torch.maximum(passed, least), most).transpose(1, 2)


class MemberPiecewiseLinear(StackedLayer):
    """As `PiecewiseLinear`, with bins of each member's own: its fold's training rows show other quantiles.

    A number has as many slots as the fold with the most bins needs; those that a fold does not need are zero.

    Args:
        edges: of every fold's numbers, None for a number that is not the fold's own.
        fold_of_member: of every member.
    """

    slot_number: Tensor
    low: Tensor
    slope: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, edges: Sequence[Sequence[np.ndarray | None]], fold_of_member: Sequence[int]) -> None:
        super().__init__()
        self.widths = [max(map(_count_slots, of_folds)) for of_folds in zip(*edges, strict=True)]
        slots = [
            [
                slot
                for number, of_number in enumerate(edges[fold])
                for slot in _padded_slots(number, of_number, self.widths[number])
            ]
            for fold in fold_of_member
        ]
        number, *values = (
            [[slot[field] for slot in member] for member in slots] for field in range(len(("number", *SLOT_VALUES)))
        )
        self.register_buffer("slot_number", torch.tensor(number, dtype=torch.int64), persistent=False)
        for name, of_slots in zip(SLOT_VALUES, values, strict=True):
            self.register_buffer(name, torch.tensor(of_slots), persistent=False)
        self.n_features = sum(self.widths)
        self.own_slots = [[np.arange(_count_slots(of_number)) for of_number in edges[fold]] for fold in fold_of_member]

    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Nothing to draw."""

    def forward(self, numbers: Float[Tensor, "streams rows numbers"]) -> Float[Tensor, "members rows features"]:
        """Encode and concatenate."""
        low, slope, least, most = (getattr(self, name)[:, :, None] for name in SLOT_VALUES)
        passed = (_whole_columns(numbers, self.slot_number[0]) - low) * slope
        return torch.minimum(torch.maximum(passed, least), most).transpose(1, 2)


def _whole_columns(
    values: Shaped[Tensor, "streams rows columns"], places: Int[Tensor, " places"]
) -> Shaped[Tensor, "streams places rows"]:
    """The columns at these places, as rows: ONNX Runtime copies whole rows tens of times as fast as single values."""
    return values.transpose(1, 2).index_select(1, places)


def _count_slots(edges: np.ndarray | None) -> int:
    return 0 if edges is None else max(1, len(edges) - 1)


def _padded_slots(number: int, edges: np.ndarray | None, width: int) -> list[Slot]:
    slots = [] if edges is None else _slots(number, edges)
    return slots + [(number, 0.0, 0.0, 0.0, 0.0)] * (width - len(slots))


def _slots(number: int, edges: np.ndarray) -> list[Slot]:
    """For each bin: the number's place, where the bin begins, 1 / its width, least and greatest value."""
    low = [float(edge) for edge in edges]
    if len(low) == 1:  # a constant: what differs from it at all passes as it is
        return [(number, low[0], 1.0, -np.inf, np.inf)]
    last = len(low) - 2
    return [
        (number, low[i], 1 / (low[i + 1] - low[i]), 0.0 if i else -np.inf, 1.0 if i < last else np.inf)
        for i in range(last + 1)
    ]


class OwnFeatures(StackedLayer):
    """Zeros for features that are not a member's own.

    Args:
        own: places of each member's own features.
        n_features: of all.
    """

    mask: Tensor

    def __init__(self, own: Sequence[np.ndarray], *, n_features: int) -> None:
        super().__init__()
        mask = torch.zeros(len(own), n_features)
        for member, places in enumerate(own):
            mask[member, torch.from_numpy(places)] = 1.0
        self.register_buffer("mask", mask, persistent=False)

    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Nothing to draw."""

    def forward(self, features: Float[Tensor, "members rows features"]) -> Float[Tensor, "members rows features"]:
        """Multiply by one or zero."""
        return features * self.mask[:, None]


class TableStem(nn.Module):
    """Numbers as they are or embedded, and behind them categories, one-hot or embedded.

    Args:
        inputs: of the net.
        config: which of these; numbers plain and categories one-hot when None.
        n_members: size of the stack.

    Attributes:
        n_features: width of what it gives.
        own_features: places of each member's own features; None when all are everyone's.
    """

    def __init__(self, inputs: InputFacts, config: TabularConfig | None = None, *, n_members: int) -> None:
        super().__init__()
        self.numbers: PiecewiseLinear | MemberPiecewiseLinear | StackedPeriodicEmbedding | None = None
        n_number_features = inputs.n_numbers
        if config is not None and inputs.n_numbers:
            self.numbers = _number_embedding(inputs, config, n_members=n_members)
        if self.numbers is not None:
            n_number_features = self.numbers.n_features
        own_numbers = _own_numbers(inputs, self.numbers)
        self.own_numbers: OwnFeatures | None = None
        if inputs.lacks_numbers and isinstance(self.numbers, StackedPeriodicEmbedding):  # it makes something of zeros
            self.own_numbers = OwnFeatures(own_numbers, n_features=n_number_features)
        self.categories: OneHot | CategoryEmbeddings | None = None
        if inputs.cardinalities:
            if config is not None and config.categories == "embedding":
                self.categories = CategoryEmbeddings(inputs, config.embedding_width, n_members=n_members)
            else:
                self.categories = OneHot(inputs.cardinalities)
        n_category_features = self.categories.n_features if self.categories else 0
        self.n_features = n_number_features + n_category_features
        self.own_features: list[np.ndarray] | None = None
        if inputs.members:
            own_labels = (
                [np.arange(n_category_features)] * n_members
                if isinstance(self.categories, CategoryEmbeddings)
                else own_one_hot(inputs)
            )
            blocks = [n_number_features, n_category_features]
            self.own_features = [side_by_side(blocks, places) for places in zip(own_numbers, own_labels, strict=True)]

    def forward(
        self, numbers: Float[Tensor, "streams rows numbers"], codes: Int[Tensor, "streams rows columns"]
    ) -> Float[Tensor, "members_or_streams rows features"]:
        """Concatenate; the first axis is of members when something is learned here, else of streams."""
        values = numbers if self.numbers is None else self.numbers(numbers)
        if self.own_numbers is not None:
            values = self.own_numbers(values)
        if self.categories is None:
            return values
        labels = self.categories(codes).to(values.dtype)
        n_slices = max(len(values), len(labels))
        return torch.cat([values.expand(n_slices, -1, -1), labels.expand(n_slices, -1, -1)], dim=2)


def labels_behind(
    features: Float[Tensor, "members_or_streams rows features"],
    categories: OneHot,
    codes: Int[Tensor, "streams rows columns"],
) -> Float[Tensor, "members_or_streams rows all_features"]:
    """Features, and behind them the one-hot labels of the same rows where a table has some."""
    if not categories.n_features:
        return features
    labels = categories(codes).to(features.dtype)
    return torch.cat([features, labels.expand(len(features), -1, -1)], dim=2)


def side_by_side(widths: Sequence[int], places: Sequence[np.ndarray]) -> np.ndarray:
    """Places among blocks that lie side by side, from the places in each of them."""
    starts = np.cumsum([0, *widths])
    nothing = np.zeros(0, dtype=np.int64)
    return np.concatenate([nothing, *(start + in_block for start, in_block in zip(starts[:-1], places, strict=True))])


def own_one_hot(inputs: InputFacts) -> list[np.ndarray]:
    """Which features of `OneHot` are each member's own: the categories that its training rows hold."""
    return [side_by_side(inputs.cardinalities, [known - 1 for known in member.codes]) for member in inputs.members]


def own_beside_labels(n_features: int, inputs: InputFacts) -> list[np.ndarray] | None:
    """Each member's own places among features that are everyone's with `OneHot` behind them; None when all are."""
    blocks = [n_features, sum(inputs.cardinalities)]
    return [side_by_side(blocks, [np.arange(n_features), labels]) for labels in own_one_hot(inputs)] or None


def check_numbers_alike(inputs: InputFacts, *, kind: str) -> None:
    """Raise a UserError where a net that reads numbers by their places finds some of them in some folds only."""
    if inputs.lacks_numbers:
        raise UserError(
            f"model={kind} reads number features by their places, and some folds have others than the rest: a column "
            "has missing values, or times of day, in the rows of one fold alone. Fill that column, leave it out with "
            "data.drop=[...], or use model=mlp."
        )


def _own_numbers(
    inputs: InputFacts, embedding: PiecewiseLinear | MemberPiecewiseLinear | StackedPeriodicEmbedding | None
) -> list[np.ndarray]:
    """Which number features, as embedded, are each member's own."""
    if isinstance(embedding, MemberPiecewiseLinear):
        return [side_by_side(embedding.widths, slots) for slots in embedding.own_slots]
    if isinstance(embedding, StackedPeriodicEmbedding):
        width = np.arange(embedding.n_features // inputs.n_numbers)
        return [(member.numbers[:, None] * len(width) + width).ravel() for member in inputs.members]
    return [member.numbers for member in inputs.members]


def _number_embedding(
    inputs: InputFacts, config: TabularConfig, *, n_members: int
) -> PiecewiseLinear | MemberPiecewiseLinear | StackedPeriodicEmbedding | None:
    if config.numbers == "piecewise":
        if inputs.members:
            return MemberPiecewiseLinear(inputs.fold_bin_edges(config.bins), inputs.fold_of_member)
        return PiecewiseLinear(inputs.bin_edges(config.bins))
    if config.numbers == "periodic":
        return StackedPeriodicEmbedding(
            inputs.n_numbers,
            config.frequencies,
            scale=config.frequency_scale,
            width=config.number_width,
            n_members=n_members,
            own_numbers=[member.numbers for member in inputs.members] or None,
        )
    return None
