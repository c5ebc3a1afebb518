"""The fused hidden layer against what it stands for: product, bias, ReLU and dropout one after the other."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.stack import hidden
from pipelines.stack.hidden import hidden_relu
from pipelines.stack.layers import StackedDropout, StackedLinear
from pipelines.stack.randomness import DropoutNoise, Streams

CPU = torch.device("cpu")


def one_after_the_other(x, layer, dropout, noise):
    return dropout(torch.relu(layer(x)), noise)


def noise_of(seeds) -> DropoutNoise:
    noise = DropoutNoise(Streams(seeds, device=CPU), dtype=torch.float64)
    noise.start_epoch(0)
    return noise


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 2)), min_size=1, max_size=7),
    n_rows=st.integers(1, 9),
    is_shared=st.booleans(),
    cached_bytes=st.sampled_from([1, 500, 1 << 20]),
)
def test_outputs_and_gradients_are_those_of_the_layers(members, n_rows, is_shared, cached_bytes) -> None:
    rates, seeds = zip(*members, strict=True)
    generator = torch.Generator().manual_seed(0)
    layer = StackedLinear(3, 5, n_members=len(members)).double()
    for parameter in layer.parameters():
        parameter.data.normal_(generator=generator)
    dropout = StackedDropout(rates).double()
    x = torch.randn(1 if is_shared else len(members), n_rows, 3, dtype=torch.float64, generator=generator)
    above = torch.randn(len(members), n_rows, 5, dtype=torch.float64, generator=generator)

    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hidden, "CACHED_BYTES", cached_bytes)
        for fused in (False, True):
            own = x.clone().requires_grad_()
            noise = noise_of(seeds)
            if fused:
                masks = dropout.masks(noise, n_rows=n_rows, width=5)
                y = hidden_relu(own, layer.weight, layer.bias, masks)
            else:
                y = one_after_the_other(own, layer, dropout, noise)
            found.append((y, *torch.autograd.grad(y, (own, layer.weight, layer.bias), above)))
    for plain, fused in zip(*found, strict=True):
        torch.testing.assert_close(fused, plain, rtol=0, atol=1e-6 if any(rates) else 1e-12)


def test_neighbours_with_one_rate_and_stream_share_a_mask_and_nobody_gets_one_of_ones() -> None:
    dropout = StackedDropout([0.0, 0.2, 0.2, 0.2, 0.5])
    masks = dropout.masks(noise_of([0, 0, 0, 1, 1]), n_rows=4, width=3)
    assert [members for members, _ in masks] == [slice(1, 3), slice(3, 4), slice(4, 5)]
    dropout.take_(torch.tensor([0, 4]))
    (only,) = dropout.masks(noise_of([0, 1]), n_rows=4, width=3)
    assert only[0] == slice(1, 2)
    assert StackedDropout([0.0]).masks(noise_of([0]), n_rows=4, width=3) == []
