"""The optimizer that Lightning sees: one chain a kind, each on its own members, one learning rate a member."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.axes import PerMember, take_members
from pipelines.config.schema import OptimizerConfig
from pipelines.optim.ahead import StepsAhead
from pipelines.optim.plateau import start_plateau
from pipelines.optim.recipes import build_chain, finest_float
from pipelines.optim.saving import load_plain_, to_plain
from pipelines.optim.schedule import MemberSchedule, schedule_factors
from pipelines.optim.transform import Chain


@dataclass(frozen=True)
class KindSlice:
    """Neighbouring members with one kind of optimizer."""

    members: slice
    chain: Chain
    state: list[Any]


class StackOptimizer(torch.optim.Optimizer):
    """Steps every member with its own optimizer.

    Args:
        params: of the stack, each [members, ...].
        members: one configuration a member; members of one kind are neighbours.
        schedules: one a member.
        decayed: one flag a parameter: do L1, L2 and weight decay act on it?

    Raises:
        ValueError: members of one kind are not neighbours.
    """

    def __init__(
        self,
        params: Sequence[nn.Parameter],
        members: Sequence[OptimizerConfig],
        *,
        schedules: Sequence[MemberSchedule],
        decayed: Sequence[bool],
    ) -> None:
        super().__init__(params, {})
        device = params[0].device
        kinds = [kind for kind, _ in groupby(member.kind for member in members)]
        if len(kinds) != len(set(kinds)):
            raise ValueError(f"Members of one optimizer must be neighbours, got {kinds}. Sort them by kind.")
        self._columns, self._n_decayed = _columns(params, decayed)
        self._weights = _as_one_matrix(self._columns)
        self._slices: list[KindSlice] = []
        for place in _kind_places(members):
            chain = build_chain(members[place], device=device)
            self._slices.append(KindSlice(place, chain, chain.init(torch.zeros_like(self._weights[place]))))
        rates = [member.lr for member in members]
        self._base_rates: PerMember = torch.tensor(rates, dtype=finest_float(device), device=device)
        self.learning_rates = self._base_rates  # times what a plateau has made of them
        self.stepped_rates = self._base_rates  # what the last step took
        self._schedules = list(schedules)
        self._plateau = start_plateau([schedule.config for schedule in schedules])
        self._step = 0
        self._factors = StepsAhead(self._factors_of)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As torch and Lightning know it; `update_` is what it does."""
        loss = None if closure is None else closure()
        self.update_()
        return loss

    @torch.no_grad()
    def update_(self) -> None:
        """Update all members at once; the gradients are used up, and the next step begins without.

        Not `step` itself: torch wraps that one for its profiler, which costs a small stack a tenth of the update.
        """
        updates = torch.cat([_rows_of_gradient(param) for param, _ in self._columns], dim=1)  # [K, P]
        decayed = self._weights[:, : self._n_decayed]
        for of_kind in self._slices:
            members = of_kind.members
            of_kind.chain.update_(updates[members], of_kind.state, decayed[members], self._step)
        self.stepped_rates = self.current_learning_rates()
        self._weights.addcmul_(updates, self.stepped_rates.to(updates.dtype).unsqueeze(1), value=-1)
        self._step += 1

    def current_learning_rates(self) -> PerMember:
        """The rate of every member at the step that comes next."""
        return self.learning_rates * self._factors.at(self._step)

    def _factors_of(self, first_step: int, n_steps: int) -> Float[Tensor, "steps members"]:
        factors = schedule_factors(self._schedules, first_step=first_step, n_steps=n_steps)
        if self.learning_rates.is_cuda:
            factors = factors.pin_memory()  # a copy from memory that may be paged out waits for the device
        return factors.to(self.learning_rates, non_blocking=True)

    def observe(self, scores: np.ndarray) -> None:
        """Take in an epoch's validation scores [K], greater is better, for schedules that depend on them."""
        if self._plateau.is_used:
            self._plateau = self._plateau.after(scores)
            self._scale_rates()

    def _scale_rates(self) -> None:
        self.learning_rates = self._base_rates * torch.from_numpy(self._plateau.scales).to(self._base_rates)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, save parameters and configurations."""
        # Transforms without a memory are left out: which of them a chain holds depends on who is in the stack.
        states = [[to_plain(state) for state in of_kind.state if state is not None] for of_kind in self._slices]
        return {"step": self._step, "states": states, "plateau": self._plateau.observed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where an optimizer of the same members was when its `state_dict` was taken."""
        self._step = state_dict["step"]
        self._plateau = self._plateau.going_on(state_dict["plateau"])
        self._scale_rates()
        for of_kind, plain in zip(self._slices, state_dict["states"], strict=True):
            remembered = [state for state in of_kind.state if state is not None]
            for saved, state in zip(plain, remembered, strict=True):
                load_plain_(saved, state)

    def take_(self, members: Int[Tensor, " kept"]) -> None:
        """Keep these members, in their present order; the net has taken its parameters already.

        Args:
            members: indices, ascending.

        Raises:
            ValueError: the parameters are of other members still.
        """
        if any(len(param) != len(members) for param, _ in self._columns):
            raise ValueError(f"{len(members)} members stay, and the net must have taken its parameters before.")
        self._weights = _as_one_matrix(self._columns)
        slices = []
        start = 0
        for of_kind in self._slices:
            inside = _inside(of_kind.members, members)
            if not len(inside):
                continue
            place = slice(start, start + len(inside))
            slices.append(KindSlice(place, take_members(of_kind.chain, inside), take_members(of_kind.state, inside)))
            start = place.stop
        self._slices = slices
        self._base_rates = self._base_rates[members]
        self._schedules = [self._schedules[member] for member in members.tolist()]
        self._plateau = self._plateau.take(members.numpy())
        self._scale_rates()
        self._factors = StepsAhead(self._factors_of)


def state_of_members(
    state_dict: Mapping[str, Any], members: Sequence[OptimizerConfig], kept: Int[Tensor, " kept"]
) -> dict[str, Any]:
    """What an optimizer of some members goes on from.

    Args:
        state_dict: of the optimizer of all.
        members: one configuration each.
        kept: their places, ascending.
    """
    insides = (_inside(place, kept) for place in _kind_places(members))
    of_kinds = zip(state_dict["states"], insides, strict=True)
    states = [take_members(of_kind, inside) for of_kind, inside in of_kinds if len(inside)]
    return {**state_dict, "states": states, "plateau": take_members(state_dict["plateau"], kept)}


def _kind_places(members: Sequence[OptimizerConfig]) -> Iterator[slice]:
    """Where the members of each kind stand; they are neighbours."""
    start = 0
    for _, group in groupby(members, key=lambda member: member.kind):
        stop = start + len(list(group))
        yield slice(start, stop)
        start = stop


def _inside(place: slice, members: Int[Tensor, " kept"]) -> Int[Tensor, " inside"]:
    """Those of the members that stand in this place, counted from its start."""
    inside: Tensor = members[(members >= place.start) & (members < place.stop)] - place.start
    return inside


def _columns(params: Sequence[nn.Parameter], decayed: Sequence[bool]) -> tuple[list[tuple[nn.Parameter, slice]], int]:
    """Where each parameter lies in the matrix of all, those that are decayed first; and how many columns these have."""
    ordered = sorted(zip(params, decayed, strict=True), key=lambda pair: not pair[1])
    places, start, n_decayed = [], 0, 0
    for param, is_decayed in ordered:
        stop = start + param[0].numel()
        places.append((param, slice(start, stop)))
        n_decayed = stop if is_decayed else n_decayed
        start = stop
    return places, n_decayed


def _as_one_matrix(columns: Sequence[tuple[nn.Parameter, slice]]) -> Float[Tensor, "members numbers"]:
    """Move all parameters into one matrix, of which each is a view from now on: one operation steps them all."""
    rows = [param.detach().reshape(len(param), place.stop - place.start) for param, place in columns]
    matrix = torch.cat(rows, dim=1)
    for param, place in columns:
        param.data = matrix[:, place].view_as(param)
    return matrix


def take_gradient(param: nn.Parameter) -> Float[Tensor, "members ..."]:
    """A net may leave out a parameter in a step: what it does not depend on has no gradient, so zero."""
    gradient = torch.zeros_like(param) if param.grad is None else param.grad
    param.grad = None
    return gradient


def _rows_of_gradient(param: nn.Parameter) -> Float[Tensor, "members numbers"]:
    """One row a member; `flatten` knows no second dimension where a member has one number."""
    gradient = take_gradient(param)
    return gradient.reshape(gradient.shape[0], -1)
