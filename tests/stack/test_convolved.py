"""The perceptron of exported files against what it stands for, and what ONNX Runtime makes of it."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.stack.convolved import convolved_perceptron
from pipelines.stack.layers import StackedLinear


@settings(max_examples=60, deadline=None)
@given(
    n_members=st.integers(1, 4),
    n_rows=st.integers(1, 5),
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    is_shared=st.booleans(),
    activation=st.sampled_from([torch.relu, torch.tanh, torch.nn.functional.gelu]),
)
def test_outputs_are_those_of_the_layers(n_members, n_rows, widths, is_shared, activation) -> None:
    generator = torch.Generator().manual_seed(0)
    layers = [StackedLinear(*own, n_members=n_members).double() for own in pairwise(widths)]
    for layer in layers:
        layer.weight.data.normal_(generator=generator)
        layer.bias.data.normal_(generator=generator)
    x = torch.randn(1 if is_shared else n_members, n_rows, widths[0], dtype=torch.float64, generator=generator)
    expected = x
    for place, layer in enumerate(layers):
        expected = layer(activation(expected) if place else expected)
    found = convolved_perceptron(x, [(layer.weight, layer.bias) for layer in layers], activation)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_row_of_another_width_is_refused() -> None:
    layer = StackedLinear(3, 2, n_members=2)
    with pytest.raises(RuntimeError, match="expected input"):
        convolved_perceptron(torch.zeros(1, 1, 4), [(layer.weight, layer.bias)], torch.relu)
