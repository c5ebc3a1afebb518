"""Convolution and recurrence against torch's own, member by member."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from pipelines.stack.conv import StackedConv2d, halve_images
from pipelines.stack.layers import StackedLayer, draw_weights_, take_members_
from pipelines.stack.recurrent import StackedGRU

sizes = st.integers(1, 4)


def drawn(layer: StackedLayer, n_members: int) -> StackedLayer:
    draw_weights_(layer, [torch.Generator().manual_seed(member) for member in range(n_members)])
    return layer.double()


@settings(deadline=None)
@given(
    data=st.data(), n_members=sizes, n_rows=sizes, channels=st.tuples(sizes, sizes), kernel=st.sampled_from([1, 3, 5])
)
def test_a_member_equals_a_lone_convolution_and_pooling(
    data: st.DataObject, n_members: int, n_rows: int, channels: tuple[int, int], kernel: int
) -> None:
    layer = drawn(StackedConv2d(*channels, kernel, n_members=n_members), n_members)
    streams = data.draw(st.sampled_from([1, n_members]))
    x = torch.randn(streams, n_rows, channels[0], 5, 4, dtype=torch.float64)
    images = layer(x)
    halved = halve_images(images)
    for member in range(n_members):
        lone = nn.Conv2d(*channels, kernel, padding="same").double()
        lone.load_state_dict({name: value[member] for name, value in layer.state_dict().items()})
        own = lone(x[member % streams])
        torch.testing.assert_close(images[member], own)
        torch.testing.assert_close(halved[member], nn.MaxPool2d(2, ceil_mode=True)(own))


@settings(deadline=None)
@given(data=st.data(), n_members=sizes, shape=st.tuples(sizes, sizes, sizes), width=sizes)
def test_a_member_equals_a_lone_gru_and_has_its_gradients(
    data: st.DataObject, n_members: int, shape: tuple[int, int, int], width: int
) -> None:
    n_inputs = shape[-1]
    layer = drawn(StackedGRU(n_inputs, width, n_members=n_members), n_members)
    streams = data.draw(st.sampled_from([1, n_members]))
    x = torch.randn(streams, *shape, dtype=torch.float64)
    states = layer(x)
    states.square().sum().backward()
    for member in range(n_members):
        lone = nn.GRU(n_inputs, width, batch_first=True).double()
        lone.load_state_dict({f"{name}_l0": value[member] for name, value in layer.state_dict().items()})
        own, _ = lone(x[member % streams])
        torch.testing.assert_close(states[member], own)
        own.square().sum().backward()
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(parameter.grad[member], getattr(lone, f"{name}_l0").grad)


def test_a_gru_writes_no_whole_gradient_a_step() -> None:
    """Selecting a step costs a gradient of all steps in the way back: more per step, the more steps there are."""
    layer = StackedGRU(2, 3, n_members=2)
    drawn(layer, 2)
    waiting, nodes = [layer(torch.randn(2, 4, 7, 2, dtype=torch.float64)).grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            waiting.extend(above for above, _ in node.next_functions)
    names = [node.name() for node in nodes]
    assert sum(name.startswith("Tanh") for name in names) == 7, "these are the steps' nodes"
    assert not [name for name in names if name.startswith(("Select", "Slice", "Index"))]


@pytest.mark.parametrize(
    ("layer", "fan"), [(StackedConv2d(8, 16, 3, n_members=16), 72), (StackedGRU(7, 64, n_members=16), 64)]
)
def test_initial_weights_lie_within_torchs_bound(layer: StackedLayer, fan: int) -> None:
    draw_weights_(layer, [torch.Generator().manual_seed(member) for member in range(16)])
    for parameter in layer.parameters():
        assert 0.95 * fan**-0.5 < parameter.abs().max() <= fan**-0.5


@pytest.mark.parametrize("layer", [StackedConv2d(2, 3, 3, n_members=4), StackedGRU(2, 3, n_members=4)])
def test_layers_keep_the_members_they_are_told_to(layer: StackedLayer) -> None:
    drawn(layer, 4)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    take_members_(layer, torch.tensor([3, 1]))
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name][[3, 1]])
