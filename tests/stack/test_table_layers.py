"""Each layer of the nets for tables against torch's own, member by member."""

import math

import numpy as np
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from pipelines.stack.embeddings import StackedEmbedding, StackedPeriodic, StackedPeriodicEmbedding
from pipelines.stack.layers import StackedLayer, draw_weights_, take_members_
from pipelines.stack.norm import StackedLayerNorm

sizes = st.integers(1, 5)


def embedding(n_codes: int, width: int, *, n_members: int) -> StackedEmbedding:
    own = [np.arange(n_codes)] * n_members
    return StackedEmbedding(n_codes, width, n_members=n_members, own_codes=own)


def randomise(layer: nn.Module) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))


@settings(deadline=None)
@given(n_members=sizes, n_rows=sizes, width=st.integers(2, 6))
def test_a_member_equals_a_lone_layer_norm(n_members: int, n_rows: int, width: int) -> None:
    layer = StackedLayerNorm(width, n_members=n_members).double()
    randomise(layer)
    x = torch.randn(n_members, n_rows, width, dtype=torch.float64)
    outputs = layer(x)
    for member in range(n_members):
        lone = nn.LayerNorm(width).double()
        lone.load_state_dict({"weight": layer.scale[member], "bias": layer.bias[member]})
        torch.testing.assert_close(outputs[member], lone(x[member]))


@settings(deadline=None)
@given(data=st.data(), n_members=sizes, n_rows=sizes, n_columns=sizes, width=sizes)
def test_a_member_equals_a_lone_embedding(
    data: st.DataObject, n_members: int, n_rows: int, n_columns: int, width: int
) -> None:
    layer = embedding(7, width, n_members=n_members).double()
    randomise(layer)
    streams = data.draw(st.sampled_from([1, n_members]))
    codes = torch.randint(7, (streams, n_rows, n_columns))
    outputs = layer(codes)
    for member in range(n_members):
        lone = nn.Embedding.from_pretrained(layer.table[member])
        assert torch.equal(outputs[member], lone(codes[member % streams]))


@settings(deadline=None)
@given(data=st.data(), n_members=sizes, n_rows=sizes, n_numbers=sizes, n_frequencies=sizes)
def test_periodic_features_are_sines_and_cosines_of_whole_turns(
    data: st.DataObject, n_members: int, n_rows: int, n_numbers: int, n_frequencies: int
) -> None:
    layer = StackedPeriodicEmbedding(n_numbers, n_frequencies, scale=0.1, width=3, n_members=n_members).double()
    randomise(layer)
    streams = data.draw(st.sampled_from([1, n_members]))
    x = torch.randn(streams, n_rows, n_numbers, dtype=torch.float64)
    outputs = layer(x)
    for member in range(n_members):
        for number in range(n_numbers):
            angle = 2 * math.pi * x[member % streams, :, number, None] * layer.periodic.frequency[member, number]
            own = torch.cat([angle.sin(), angle.cos()], dim=1)
            embedded = nn.functional.linear(own, layer.linear.weight[member], layer.linear.bias[member]).relu()
            torch.testing.assert_close(outputs[member, :, 3 * number : 3 * number + 3], embedded)


def test_initial_weights_are_spread_as_torchs_and_do_not_depend_on_neighbours() -> None:
    def drawn(layer: StackedLayer, seeds: list[int]) -> StackedLayer:
        draw_weights_(layer, [torch.Generator().manual_seed(seed) for seed in seeds])
        return layer

    table = drawn(embedding(200, 100, n_members=2), [3, 1]).table
    alone = drawn(embedding(200, 100, n_members=1), [1]).table
    assert torch.equal(table[1], alone[0])
    assert abs(table.std() - 1) < 0.02
    frequency = drawn(StackedPeriodic(200, 100, scale=0.3, n_members=1), [0]).frequency
    assert abs(frequency.std() - 0.3) < 0.01
    norm = drawn(StackedLayerNorm(4, n_members=2), [0, 1])
    assert torch.equal(norm.scale, torch.ones(2, 4))


def test_every_layer_keeps_the_members_it_is_told_to() -> None:
    layers = nn.ModuleList(
        [
            StackedLayerNorm(3, n_members=4),
            embedding(5, 2, n_members=4),
            StackedPeriodic(3, 2, scale=1.0, n_members=4),
        ]
    )
    randomise(layers)
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    take_members_(layers, torch.tensor([3, 1]))
    for name, value in layers.state_dict().items():
        assert torch.equal(value, before[name][[3, 1]])
