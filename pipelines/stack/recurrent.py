"""A recurrent layer with one set of weights a member."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.stack.layers import StackedLayer


class StackedGRU(StackedLayer):
    """One `nn.GRU` of one layer a member (Cho et al. 2014), gates in torch's order: reset, update, new.

    torch's own has no members axis and no rule for `vmap`. Here each step is one batched product.

    Args:
        in_features: of a step.
        width: of the state.
        n_members: size of the stack.
    """

    def __init__(self, in_features: int, width: int, *, n_members: int) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(n_members, 3 * width, in_features))
        self.weight_hh = nn.Parameter(torch.zeros(n_members, 3 * width, width))
        self.bias_ih = nn.Parameter(torch.zeros(n_members, 3 * width))
        self.bias_hh = nn.Parameter(torch.zeros(n_members, 3 * width))

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """As `nn.GRU`: all uniform within 1/sqrt(width)."""
        bound = 1 / math.sqrt(self.weight_hh.shape[2])
        for parameter in (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh):
            drawn = torch.empty(parameter.shape[1:], dtype=parameter.dtype)
            parameter[member] = drawn.uniform_(-bound, bound, generator=generator).to(parameter.device)

    def forward(self, x: Float[Tensor, "streams rows steps inputs"]) -> Float[Tensor, "members rows steps width"]:
        """The state after every step, from zero; `streams` is the number of members, or 1 for rows they share."""
        n_members, _, width = self.weight_hh.shape
        n_streams, n_rows, n_steps, n_inputs = x.shape
        # What steps take from their inputs needs no state: one product for all of them, time first.
        rows = x.transpose(1, 2).reshape(n_streams, n_steps * n_rows, n_inputs)
        taken = torch.matmul(rows, self.weight_ih.transpose(1, 2)) + self.bias_ih[:, None, :]
        from_input = taken.reshape(n_members, n_steps, n_rows, 3 * width)
        recurrent = self.weight_hh.transpose(1, 2)
        state = from_input.new_zeros(n_members, n_rows, width)
        states = []
        for step_input in from_input.unbind(1):  # not by number: each step would write a gradient of all steps
            reset_in, update_in, new_in = step_input.chunk(3, dim=2)
            from_state = torch.baddbmm(self.bias_hh[:, None, :], state, recurrent)
            reset_state, update_state, new_state = from_state.chunk(3, dim=2)
            update = torch.sigmoid(update_in + update_state)
            new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_state) * new_state)
            state = new + update * (state - new)
            states.append(state)
        return torch.stack(states, dim=2)
