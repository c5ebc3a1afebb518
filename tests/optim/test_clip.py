"""A member's gradient is clipped as `torch.nn.utils.clip_grad_norm_` clips that of a lone net."""

import torch
from hypothesis import given, strategies as st

from pipelines.optim.clip import ClipByMemberNorm


def gradients(n_members: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n_members, *shape, generator=generator, dtype=torch.float64) for shape in [(4, 3), (4,)]]


@given(st.lists(st.floats(1e-3, 10.0) | st.just(0.0), min_size=1, max_size=5))
def test_every_member_is_clipped_as_if_alone(most: list[float]) -> None:
    start = gradients(len(most))
    clipped = ClipByMemberNorm(torch.tensor(most, dtype=torch.float64)).update([own.clone() for own in start], None, [])
    for member, own_most in enumerate(most):
        lone = [torch.nn.Parameter(own[member]) for own in start]
        for parameter, own in zip(lone, start, strict=True):
            parameter.grad = own[member].clone()
        if own_most:
            torch.nn.utils.clip_grad_norm_(lone, own_most)
        for parameter, own in zip(lone, clipped, strict=True):
            torch.testing.assert_close(own[member], parameter.grad, rtol=1e-12, atol=1e-12)


def test_a_member_that_diverges_does_not_silence_its_neighbours() -> None:
    calm, wild = gradients(3), gradients(3)
    for own in wild:
        own[1] = float("inf")
    clip = ClipByMemberNorm(torch.ones(3, dtype=torch.float64))
    for one, other in zip(clip.update(calm, None, []), clip.update(wild, None, []), strict=True):
        assert torch.equal(one[[0, 2]], other[[0, 2]])
