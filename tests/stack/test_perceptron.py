"""The fused perceptron against what it stands for: products, ReLU and dropout one after the other."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.stack import perceptron
from pipelines.stack.layers import StackedDropout, StackedLinear
from pipelines.stack.perceptron import relu_perceptron
from pipelines.stack.randomness import DropoutNoise, Streams

CPU = torch.device("cpu")


def one_after_the_other(x, layers, dropout, noise):
    for layer in layers[:-1]:
        x = dropout(torch.relu(layer(x)), noise)
    return layers[-1](x)


def noise_of(seeds) -> DropoutNoise:
    noise = DropoutNoise(Streams(seeds, device=CPU), dtype=torch.float64)
    noise.start_epoch(0)
    return noise


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 2)), min_size=1, max_size=7),
    n_rows=st.integers(1, 9),
    hidden=st.lists(st.sampled_from([1, 5]), max_size=3),
    is_shared=st.booleans(),
    cached_bytes=st.sampled_from([1, 500, 1 << 20]),
)
def test_outputs_and_gradients_are_those_of_the_layers(members, n_rows, hidden, is_shared, cached_bytes) -> None:
    rates, seeds = zip(*members, strict=True)
    generator = torch.Generator().manual_seed(0)
    layers = [StackedLinear(*widths, n_members=len(members)).double() for widths in pairwise((3, *hidden, 2))]
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    for parameter in parameters:
        parameter.data.normal_(generator=generator)
    dropout = StackedDropout(rates).double()
    x = torch.randn(1 if is_shared else len(members), n_rows, 3, dtype=torch.float64, generator=generator)
    above = torch.randn(len(members), n_rows, 2, dtype=torch.float64, generator=generator)

    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptron, "CACHED_BYTES", cached_bytes)
        for fused in (False, True):
            own = x.clone().requires_grad_()
            noise = noise_of(seeds)
            if fused:
                dropped = dropout.dropped(noise, n_rows=n_rows, widths=hidden)
                weights = [(layer.weight, layer.bias) for layer in layers]
                y = relu_perceptron(own, weights, dropped)
                with torch.no_grad():
                    torch.testing.assert_close(relu_perceptron(own, weights, dropped), y, rtol=0, atol=1e-12)
            else:
                y = one_after_the_other(own, layers, dropout, noise)
            found.append((y, *torch.autograd.grad(y, (own, *parameters), above)))
    for plain, fused in zip(*found, strict=True):
        torch.testing.assert_close(fused, plain, rtol=0, atol=1e-12)


def test_neighbours_with_one_rate_and_stream_share_a_ceiling() -> None:
    dropout = StackedDropout([0.0, 0.2, 0.2, 0.2, 0.5]).double()
    dropped = dropout.dropped(noise_of([0, 0, 0, 1, 1]), n_rows=4, widths=[3, 2])
    assert dropped.groups == [slice(0, 1), slice(1, 3), slice(3, 4), slice(4, 5)]
    assert [tuple(own.shape) for own in dropped.ceilings] == [(4, 4, 3), (4, 4, 2)]
    assert set(torch.cat([own.flatten() for own in dropped.ceilings]).tolist()) == {0.0, torch.inf}
    dropout.take_(torch.tensor([0, 4]))
    assert dropout.dropped(noise_of([0, 1]), n_rows=4, widths=[3]).groups == [slice(0, 1), slice(1, 2)]


def test_nothing_is_dropped_at_rate_0_or_without_noise() -> None:
    assert StackedDropout([0.0, 0.0]).dropped(noise_of([0, 0]), n_rows=4, widths=[3]) is None
    assert StackedDropout([0.0, 0.5]).dropped(None, n_rows=4, widths=[3]) is None
