"""A member's gradient is clipped as `torch.nn.utils.clip_grad_norm_` clips that of a lone net."""

import torch
from hypothesis import given, strategies as st

from pipelines.optim.clip import ClipByMemberNorm


def gradients(n_members: int) -> torch.Tensor:
    return torch.randn(n_members, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@given(st.lists(st.floats(1e-3, 10.0) | st.just(0.0), min_size=1, max_size=5))
def test_every_member_is_clipped_as_if_alone(most: list[float]) -> None:
    start = gradients(len(most))
    clipped = start.clone()
    ClipByMemberNorm(torch.tensor(most, dtype=torch.float64)).update_(clipped, None, clipped[:, :0], 0)
    for member, own_most in enumerate(most):
        lone = [torch.nn.Parameter(part) for part in start[member].split([12, 4])]
        for parameter, own in zip(lone, start[member].split([12, 4]), strict=True):
            parameter.grad = own.clone()
        if own_most:
            torch.nn.utils.clip_grad_norm_(lone, own_most)
        torch.testing.assert_close(clipped[member], torch.cat([own.grad for own in lone]), rtol=1e-12, atol=1e-12)


def test_a_member_that_diverges_does_not_silence_its_neighbours() -> None:
    calm, wild = gradients(3), gradients(3)
    wild[1] = float("inf")
    clip = ClipByMemberNorm(torch.ones(3, dtype=torch.float64))
    for updates in (calm, wild):
        clip.update_(updates, None, updates[:, :0], 0)
    assert torch.equal(calm[[0, 2]], wild[[0, 2]])
