"""Coefficients of a linear model in the columns' own units."""

import polars as pl
import pytest
import torch

from pipelines.sweeps.coefficients import coefficient_table
from tests.export.tables import prepare, table_of, task_of


def test_coefficients_are_in_the_columns_own_units_and_a_column_of_one_value_has_none() -> None:
    features = pl.DataFrame({"metres": [0.0, 20.0] * 8, "floor": [3.0] * 16})
    prepared = prepare(table_of({"metres": "numeric", "floor": "numeric"}, features))
    weights = {"output.weight": torch.tensor([[5.0, 0.25]]), "output.bias": torch.tensor([1.0])}
    found = coefficient_table([weights], prepared, task_of(prepared))
    assert found["feature"] == ["intercept", "metres", "floor"]
    assert found["coefficient"] == pytest.approx([1.0 - 5.0, 0.5, 0.0], abs=1e-12)
