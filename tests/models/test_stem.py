"""How columns become features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.models import InputFacts
from pipelines.models.inputs import OwnInputs
from pipelines.models.stem import PiecewiseLinear, TableStem
from pipelines.stack.layers import draw_weights_
from tests.tables import mlp


def facts(numbers: np.ndarray, cardinalities: tuple[int, ...] = ()) -> InputFacts:
    return InputFacts(numbers.shape[1], cardinalities, numbers.astype(np.float32))


def expected(value: float, edges: np.ndarray) -> list[float]:
    """The paper's formula, one bin after the other."""
    last = len(edges) - 2
    features = []
    for t in range(last + 1):
        part = (value - edges[t]) / (edges[t + 1] - edges[t])
        if t > 0:
            part = max(part, 0.0)
        if t < last:
            part = min(part, 1.0)
        features.append(part)
    return features


@settings(deadline=None)
@given(
    edges=st.lists(st.integers(-20, 20), unique=True, min_size=2, max_size=6).map(sorted),
    values=st.lists(st.floats(-30, 30), min_size=1, max_size=5),
)
def test_piecewise_features_follow_the_paper(edges: list[int], values: list[float]) -> None:
    own = np.array(edges, dtype=np.float32)
    encoded = PiecewiseLinear([own]).double()(torch.tensor(values, dtype=torch.float64)[None, :, None])
    wanted = torch.tensor([expected(value, own.astype(float)) for value in values], dtype=torch.float64)
    torch.testing.assert_close(encoded[0], wanted, rtol=1e-6, atol=1e-6)  # a slope is kept in float32


def test_bins_hold_as_many_training_rows_each() -> None:
    numbers = np.random.default_rng(0).normal(size=(1600, 2))
    for column, edges in zip(numbers.T, facts(numbers).bin_edges(8), strict=True):
        counts, _ = np.histogram(column.astype(np.float32), edges)
        assert len(counts) == 8
        assert abs(counts - 200).max() <= 2


def test_few_values_make_few_bins_and_a_constant_none() -> None:
    numbers = np.stack([np.arange(90) % 3, np.full(90, 2.0)], axis=1)
    few, constant = facts(numbers).bin_edges(16)
    assert few.tolist() == [0, 1, 2]
    assert constant.tolist() == [2]
    encoded = PiecewiseLinear([few, constant])(torch.tensor([[[1.0, 2.0]]]))
    assert encoded.tolist() == [[[1.0, 0.0, 0.0]]]


def test_an_embedded_category_gives_each_member_its_own_vector_and_unseen_labels_theirs() -> None:
    stem = TableStem(facts(np.zeros((4, 1)), (2, 3)), mlp(categories="embedding", embedding_width=2), n_members=3)
    with torch.no_grad():
        for parameter in stem.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    codes = torch.tensor([[[0, 0], [0, 3], [2, 0]]])
    features = stem(torch.zeros(1, 3, 1), codes)
    assert features.shape == (3, 3, stem.n_features) == (3, 3, 1 + 2 * 2)
    assert len({tuple(row) for member in features.tolist() for row in member}) == 9
    assert torch.equal(features[:, 0, 1:3], features[:, 1, 1:3])
    assert not torch.equal(features[:, 0, 1:3], features[:, 0, 3:5]), "columns have tables of their own"


@pytest.mark.parametrize("n_folds", [0, 1])
def test_an_unseen_label_has_no_vector_in_any_column_since_training_could_not_teach_it_one(n_folds: int) -> None:
    own = OwnInputs(np.array([0]), (np.array([1, 2]), np.array([1, 3])), np.zeros((4, 1), dtype=np.float32))
    inputs = facts(np.zeros((4, 1)), (2, 3))
    if n_folds:
        inputs = replace(inputs, folds=(own,)).of_members([0, 0])
    stem = TableStem(inputs, mlp(categories="embedding"), n_members=2)
    draw_weights_(stem, [torch.Generator().manual_seed(seed) for seed in range(2)])
    codes = torch.tensor([[[0, 0], [1, 1], [2, 2], [2, 3]]])
    vectors = stem(torch.zeros(1, 4, 1), codes)[..., 1:].unflatten(2, (2, -1))  # [members, rows, columns, width]
    has_vector = (vectors != 0).all(dim=3)
    of_columns = [[False, False], [True, True], [True, not n_folds], [True, True]]  # the fold lacks one label, too
    assert has_vector.tolist() == [of_columns] * 2


def test_a_table_without_numbers_is_read_by_every_net() -> None:
    stem = TableStem(facts(np.zeros((4, 0)), (2,)), mlp(numbers="piecewise"), n_members=2)
    assert stem(torch.zeros(1, 3, 0), torch.tensor([[[0], [1], [2]]])).tolist() == [[[0, 0], [1, 0], [0, 1]]]
