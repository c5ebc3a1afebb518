"""A stacked layer equals one lone layer a member, and its randomness belongs to seeds."""

import pytest
import torch

from pipelines.stack.layers import StackedDropout, StackedLinear, draw_weights_, take_members_
from pipelines.stack.randomness import DropoutNoise, Purpose, Streams, stream_generator


def drawn(seeds: list[int], inputs: int = 5, outputs: int = 4) -> StackedLinear:
    layer = StackedLinear(inputs, outputs, n_members=len(seeds)).double()
    draw_weights_(layer, [stream_generator(seed, Purpose.WEIGHTS) for seed in seeds])
    return layer


@pytest.mark.parametrize("streams", [1, 3])
def test_a_member_equals_a_lone_linear(streams: int) -> None:
    layer = drawn([3, 1, 4])
    x = torch.randn(streams, 8, 5, dtype=torch.float64)
    outputs = layer(x)
    for member in range(3):
        lone = torch.nn.functional.linear(x[member % streams], layer.weight[member], layer.bias[member])
        torch.testing.assert_close(outputs[member], lone)


def test_initial_weights_lie_within_the_bound_of_the_members_own_fan() -> None:
    layer = drawn(list(range(16)), inputs=64, outputs=32)
    bound = 1 / 64**0.5
    for parameter in (layer.weight, layer.bias):
        assert parameter.abs().max() <= bound
    assert layer.weight.abs().max() > 0.95 * bound


def test_a_members_weights_do_not_depend_on_its_neighbours() -> None:
    assert torch.equal(drawn([3, 1, 4]).weight[1], drawn([1]).weight[0])


def test_taking_members_keeps_them_in_the_order_given() -> None:
    layer = drawn([0, 1, 2, 3])
    before = layer.weight.detach().clone()
    take_members_(layer, torch.tensor([1, 3]))
    assert torch.equal(layer.weight, before[[1, 3]])
    assert layer.bias.shape[0] == 2


def noise(seeds: list[int]) -> DropoutNoise:
    own = DropoutNoise(Streams(seeds, device=torch.device("cpu")), dtype=torch.float64)
    own.start_epoch(0)
    return own


def test_dropout_zeroes_about_its_rate_and_keeps_the_mean() -> None:
    layer = StackedDropout([0.0, 0.25, 0.5])
    x = torch.ones(3, 200, 100, dtype=torch.float64)
    dropped = layer(x, noise([0, 0, 0]))
    shares = (dropped == 0).double().mean(dim=(1, 2))
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.25, 0.5], dtype=torch.float64), atol=0.02, rtol=0)
    torch.testing.assert_close(dropped.mean(dim=(1, 2)), torch.ones(3, dtype=torch.float64), atol=0.05, rtol=0)


def test_members_of_one_seed_share_their_noise_wherever_they_stand() -> None:
    together = noise([7, 5, 7]).uniform(4, 3)
    alone = noise([7]).uniform(4, 3)
    assert torch.equal(together[0], together[2])
    assert torch.equal(together[0], alone[0])
    assert not torch.equal(together[0], together[1])


def test_noise_changes_from_epoch_to_epoch_and_layer_to_layer() -> None:
    own = noise([0])
    first, second = own.uniform(4, 3), own.uniform(4, 3)
    own.start_epoch(1)
    assert not torch.equal(first, second)
    assert not torch.equal(first, own.uniform(4, 3))
    own.start_epoch(0)
    assert torch.equal(first, own.uniform(4, 3))


def test_a_seed_that_nobody_uses_any_more_is_drawn_no_more() -> None:
    streams = Streams([4, 9, 4, 2], device=torch.device("cpu"))
    streams.take_(torch.tensor([0, 3]))
    assert streams.seeds == (4, 2)
    assert streams.of_member.tolist() == [0, 1]
