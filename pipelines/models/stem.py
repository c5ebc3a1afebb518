"""Encoded columns to one feature vector: numbers as they are, categories one-hot."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class OneHotStem(nn.Module):
    """Appends one 0/1 feature for every category of every categorical column; code 0 gives zeros alone.

    Args:
        n_numbers: width of the number features.
        cardinalities: categories of each categorical column.
    """

    slot_column: Tensor
    slot_code: Tensor

    def __init__(self, n_numbers: int, cardinalities: tuple[int, ...]) -> None:
        super().__init__()
        columns = [column for column, size in enumerate(cardinalities) for _ in range(size)]
        codes = [code for size in cardinalities for code in range(1, size + 1)]
        self.register_buffer("slot_column", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.register_buffer("slot_code", torch.tensor(codes, dtype=torch.int64), persistent=False)
        self.n_features = n_numbers + len(codes)

    def forward(
        self, numbers: Float[Tensor, "streams rows numbers"], codes: Int[Tensor, "streams rows columns"]
    ) -> Float[Tensor, "streams rows features"]:
        """Concatenate."""
        if not len(self.slot_code):
            return numbers
        one_hot = codes.index_select(2, self.slot_column) == self.slot_code
        return torch.cat([numbers, one_hot.to(numbers.dtype)], dim=2)
