"""Any `nn.Module` as a layer of a stack, through `torch.func`: one set of its tensors a member, and one template.

Not here: where a module comes from, and whether it can be stacked at all (`pipelines.models`).
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from pipelines.stack.layers import StackedLayer
from pipelines.stack.randomness import DropoutNoise
from pipelines.stack.roles import Role

LARGEST_SEED = 2**62
Drawn = dict[int, Float[Tensor, "members_or_one numbers"]]  # dropout's number -> uniform numbers


def built_with_seed(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module on the CPU whose weights depend on this seed alone; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        return build()


class StackedModule(StackedLayer):
    """One module a member, all computed as one by `vmap` where that can be.

    A module may look at all rows of a batch, or draw numbers for them: where some only fill a member's batch up, which
    they do in the last one of an epoch, members are computed one by one, each on its own rows.

    What a module keeps in buffers (running means) is a member's own, too. Parameters that need no gradient are kept
    as buffers, out of the optimizer's sight.

    Args:
        build: makes a module and draws its initial weights by torch's global generator.
        n_members: size of the stack.
        by_vmap: whether that can be; else members are computed one by one.
    """

    def __init__(self, build: Callable[[], nn.Module], *, n_members: int, by_vmap: bool) -> None:
        super().__init__()
        self._build = build
        self._by_vmap = by_vmap
        template = built_with_seed(build, 0)
        self._parameter_names = {path: name for path, name, _ in _learned(template)}
        self._buffer_names = {path: name for path, name, _ in _kept(template)}
        for _, name, tensor in _learned(template):
            self.register_parameter(name, nn.Parameter(torch.zeros(n_members, *tensor.shape, dtype=tensor.dtype)))
        for _, name, tensor in _kept(template):
            self.register_buffer(name, torch.zeros(n_members, *tensor.shape, dtype=tensor.dtype))
        # In a tuple, where torch does not look: its own tensors are never used. They stay, since moving them would
        # undo that two layers share one.
        self._template = (template,)

    @torch.no_grad()
    def draw_member_(self, member: int, generator: torch.Generator) -> None:
        """Build a module under a seed of the member's own stream and take its tensors."""
        seed = int(torch.randint(LARGEST_SEED, (), generator=generator))
        module = built_with_seed(self._build, seed)
        for _, name, tensor in (*_learned(module), *_kept(module)):
            getattr(self, name)[member] = tensor.to(getattr(self, name).device)

    def forward(
        self, x: Float[Tensor, "streams rows inputs"], noise: DropoutNoise | None
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs; `streams` is the number of members, or 1 for rows that all share."""
        self._template[0].train(noise is not None)
        n_members = len(next(self.parameters()))
        own_rows = noise.own_rows() if noise is not None else None
        # A served model is computed one by one: an exporter must see the operators.
        if self._by_vmap and own_rows is None and (noise is not None or torch.is_inference_mode_enabled()):
            return self._together(x, noise, n_members)
        of_member, drawn = x.expand(n_members, -1, -1), Drawn()
        if own_rows is None:
            return torch.stack([self._alone(of_member[member], noise, member, drawn) for member in range(n_members)])
        outputs = {}
        for member in sorted(range(n_members), key=lambda member: -own_rows[member]):  # who needs most numbers draws
            output = self._alone(of_member[member, : own_rows[member]], noise, member, drawn)
            outputs[member] = nn.functional.pad(output, (0, 0, 0, x.shape[1] - own_rows[member]))
        return torch.stack([outputs[member] for member in range(n_members)])

    def _together(self, x: Tensor, noise: DropoutNoise | None, n_members: int) -> Tensor:
        places = torch.arange(n_members, device=x.device)
        parameters, buffers = self._tensors(self._parameter_names), self._tensors(self._buffer_names)

        def call(
            parameters: dict[str, Tensor], buffers: dict[str, Tensor], rows: Tensor, place: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            with _StreamDropout(noise, place, {}):
                return self._call({**parameters, **buffers}, rows)

        shared = len(x) == 1
        together = vmap(call, in_dims=(0, 0, None if shared else 0, 0), randomness="error")
        with warnings.catch_warnings():  # of operators that torch computes member by member: slower, and as right
            warnings.filterwarnings("ignore", message="There is a performance drop", category=UserWarning)
            outputs, changed = together(parameters, buffers, x[0] if shared else x, places)
        if noise is not None:
            self._keep(changed, slice(None))
        result: Tensor = outputs
        return result

    def _alone(self, rows: Tensor, noise: DropoutNoise | None, member: int, drawn: Drawn) -> Tensor:
        tensors = {path: tensor[member] for path, tensor in self._tensors(self._all_names).items()}
        if noise is None:
            return self._call(tensors, rows)[0]
        # Numbers that the module draws by itself: by a generator that this step of this stream alone decides.
        devices = [rows.device] if rows.is_cuda else []
        with torch.random.fork_rng(devices=devices), _StreamDropout(noise, member, drawn):
            torch.manual_seed(noise.step_seed(member))
            outputs, changed = self._call(tensors, rows)
        self._keep(changed, member)
        return outputs

    def _call(self, tensors: dict[str, Tensor], rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """One member's outputs, and its buffers afterwards, whether they were changed or replaced."""
        outputs: Tensor = functional_call(self._template[0], tensors, (rows,))
        return outputs, {path: tensors[path] for path in self._buffer_names}

    @torch.no_grad()
    def _keep(self, changed: dict[str, Tensor], members: slice | int) -> None:
        for path, tensor in changed.items():
            kept = getattr(self, self._buffer_names[path])[members]
            if tensor.data_ptr() != kept.data_ptr():
                kept.copy_(tensor)

    @property
    def _all_names(self) -> dict[str, str]:
        return self._parameter_names | self._buffer_names

    def _tensors(self, names: dict[str, str]) -> dict[str, Tensor]:
        return {path: getattr(self, name) for path, name in names.items()}


def _learned(module: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    """Path in the module, name in the stack and value of what is trained."""
    for path, parameter in module.named_parameters():
        if parameter.requires_grad:
            yield path, _name(_role(module, path, parameter).value, path), parameter


def _kept(module: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    """The same of what is not."""
    frozen = ((path, tensor) for path, tensor in module.named_parameters() if not tensor.requires_grad)
    for path, tensor in (*frozen, *module.named_buffers()):
        yield path, _name("buffer", path), tensor


def _name(kind: str, path: str) -> str:
    """A name that torch takes and whose beginning says the role."""
    return f"{kind}_{path.replace('.', '/')}"


def _role(module: nn.Module, path: str, parameter: Tensor) -> Role:
    """By what holds the parameter, and by its dimensions, to which no members axis has come yet."""
    owner, _, name = path.rpartition(".")
    if isinstance(module.get_submodule(owner), nn.Embedding | nn.EmbeddingBag):
        return Role.TABLE
    if parameter.ndim > 1:
        return Role.WEIGHT
    return Role.BIAS if name.startswith("bias") else Role.SCALE


class _StreamDropout(TorchFunctionMode):
    """While it is on, `nn.Dropout` and `functional.dropout` take their numbers from the members' streams.

    Args:
        noise: of the stack; None in evaluation.
        place: of the member; a tensor under `vmap`, a number where members are computed one by one.
        drawn: of this step, by the members before this one; each takes its slice, and of it what it needs: numbers
            come row after row.
    """

    def __init__(self, noise: DropoutNoise | None, place: Int[Tensor, ""] | int, drawn: Drawn) -> None:
        super().__init__()
        self._noise = noise
        self._place = place
        self._drawn = drawn
        self._n_layers = 0  # that this member has been through

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.dropout and self._noise is not None:
            return self._dropout(self._noise, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self,
        noise: DropoutNoise,
        input: Tensor,  # noqa: A002  torch's names: callers may use them
        p: float = 0.5,
        training: bool = True,  # noqa: FBT001, FBT002  likewise
        inplace: bool = False,  # noqa: FBT001, FBT002  likewise
    ) -> Tensor:
        if not 0 < p < 1:
            return nn.functional.dropout(input, p, training, inplace)
        if not training:
            return input
        if isinstance(self._place, int):
            dropped = input * self._own_share(noise, input.shape, p, member=self._place).to(input.dtype)
        else:
            dropped = _DropMembers.apply(input, self._place, p, noise)  # type: ignore[no-untyped-call]  # torch has none
        return input.copy_(dropped) if inplace else dropped

    def _own_share(self, noise: DropoutNoise, shape: torch.Size, p: float, *, member: int) -> Tensor:
        layer = self._n_layers
        self._n_layers += 1
        if layer not in self._drawn or self._drawn[layer].shape[1] < shape.numel():  # another way, where more are asked
            self._drawn[layer] = _uniform(noise, shape).flatten(1)
        drawn = self._drawn[layer]
        of_member = drawn[member % len(drawn)]  # one for all where they share a stream
        return _kept_share(of_member[: shape.numel()].view(shape), p)


class _DropMembers(torch.autograd.Function):
    """Dropout under `vmap`, which lets nobody draw numbers: here all members are at hand as one tensor."""

    @staticmethod
    def forward(x: Tensor, place: Tensor, p: float, noise: DropoutNoise) -> Tensor:
        raise NotImplementedError("Only under vmap, where `place` has the members axis.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing to keep: torch differentiates what `vmap` computes."""

    @staticmethod
    def vmap(  # noqa: PLR0917  torch's signature: what `forward` takes comes by place
        info: Any,  # noqa: ARG004  likewise
        in_dims: tuple[int | None, ...],
        x: Tensor,
        place: Tensor,
        p: float,
        noise: DropoutNoise,
    ) -> tuple[Tensor, int]:
        stacked = x.unsqueeze(0) if in_dims[0] is None else x.movedim(in_dims[0], 0)  # [K, ...]
        kept = _kept_share(_uniform(noise, stacked.shape[1:]), p).to(stacked.dtype)
        return (stacked * kept).expand(len(place), *stacked.shape[1:]), 0


def _uniform(noise: DropoutNoise, shape: torch.Size) -> Float[Tensor, "members_or_one ..."]:
    n_rows = shape[0] if shape else 1
    return noise.uniform(n_rows, shape.numel() // max(1, n_rows)).view(-1, *shape)


def _kept_share(uniform: Float[Tensor, "..."], p: float) -> Float[Tensor, "..."]:
    """What dropout multiplies by: 0, or 1 / (1 - p)."""
    return (uniform >= p) / (1 - p)
