"""Any module as a layer of a stack: together, one by one and each by itself it gives the same numbers."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from pipelines.stack.functional import StackedModule
from pipelines.stack.layers import draw_weights_, take_members_
from pipelines.stack.randomness import DropoutNoise, Purpose, Streams, stream_generator
from tests.models import user_nets

N_INPUTS = 4


def stacked(net: Any, seeds: list[int], *, by_vmap: bool) -> StackedModule:
    module = StackedModule(partial(net, N_INPUTS, 2), n_members=len(seeds), by_vmap=by_vmap)
    draw_weights_(module, [stream_generator(seed, Purpose.WEIGHTS) for seed in seeds])
    return module.double()


def trained(module: StackedModule, seeds: list[int], rows: Tensor, *, n_steps: int = 2) -> list[Tensor]:
    """Outputs of every step, and the gradients and buffers after the last; [members, ...] each."""
    noise = DropoutNoise(Streams(seeds, device=rows.device), dtype=rows.dtype)
    noise.start_epoch(0)
    outputs = []
    for _ in range(n_steps):
        noise.start_step()
        outputs.append(module(rows, noise))
    sum(step.square().sum() for step in outputs).backward()
    gradients = [torch.zeros_like(own) if own.grad is None else own.grad for own in module.parameters()]
    return [*(step.detach() for step in outputs), *gradients, *(own.double() for own in module.buffers())]


@settings(max_examples=10, deadline=None)
@given(seeds=st.lists(st.integers(0, 2), min_size=1, max_size=4), n_rows=st.integers(2, 5), own_rows=st.booleans())
@pytest.mark.parametrize("net", [user_nets.Normalised, user_nets.BatchNormalised, user_nets.Dropping])
def test_members_together_one_by_one_and_by_themselves_are_the_same(
    net: Any, seeds: list[int], n_rows: int, own_rows: Any
) -> None:
    n_slices = len(seeds) if own_rows else 1
    rows = torch.randn(n_slices, n_rows, N_INPUTS, dtype=torch.float64)
    together = trained(stacked(net, seeds, by_vmap=True), seeds, rows)
    one_by_one = trained(stacked(net, seeds, by_vmap=False), seeds, rows)
    for one, other in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    for member, seed in enumerate(seeds):
        own = trained(stacked(net, [seed], by_vmap=True), [seed], rows[member % n_slices][None])
        for one, other in zip(together, own, strict=True):
            torch.testing.assert_close(one[member], other[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("by_vmap", [True, False])
def test_seeds_differ_and_steps_do_too(by_vmap: bool) -> None:  # noqa: FBT001  a case of the table
    module = stacked(user_nets.Dropping, [0, 0], by_vmap=by_vmap)
    rows = torch.ones(1, 3, N_INPUTS, dtype=torch.float64)
    first, second, *_ = trained(module, [0, 1], rows)
    assert not torch.equal(first[0], first[1]), "the same weights, other streams"
    assert not torch.equal(first, second), "the same stream, another step"


def test_numbers_that_a_net_draws_by_itself_are_its_streams() -> None:
    rows = torch.ones(1, 3, N_INPUTS, dtype=torch.float64)
    both = trained(stacked(user_nets.Noisy, [0, 1], by_vmap=False), [0, 1], rows)
    (alone, *_) = trained(stacked(user_nets.Noisy, [1], by_vmap=False), [1], rows)
    torch.testing.assert_close(both[0][1], alone[0], rtol=0, atol=1e-12)
    twice, *_ = trained(stacked(user_nets.Noisy, [1, 1], by_vmap=False), [1, 1], rows)
    assert torch.equal(twice[0], twice[1])


def test_members_that_leave_take_their_buffers_along() -> None:
    module = stacked(user_nets.BatchNormalised, [0, 1, 2], by_vmap=True)
    trained(module, [0, 1, 2], torch.randn(3, 4, N_INPUTS, dtype=torch.float64))
    before = {name: own.clone() for name, own in module.state_dict().items()}
    take_members_(module, torch.tensor([2, 0]))
    for name, own in module.state_dict().items():
        assert torch.equal(own, before[name][[2, 0]])
